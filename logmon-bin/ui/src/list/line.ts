import type { LogEvent } from '../api/types';
import { visible } from './visible';

/** One line, without anything that would act on the terminal it is pasted into. */
export function plainLine(event: LogEvent): string {
  return [event.timestamp, event.level ?? '-', event.source === null ? '-' : visible(event.source), visible(event.message)].join(' ');
}
