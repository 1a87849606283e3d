import { request } from './http';

/** An output that cannot be written to at present. */
export interface WaitingOutput {
  readonly name: string;
  /** Events that wait in the journal. */
  readonly lag: number;
  /** Why, in the words of its server or driver. */
  readonly trouble: string;
}

interface Health {
  readonly figures?: { readonly outputs?: readonly Output[] };
}

interface Output {
  readonly name: string;
  /** Of what the journal has, how much the output has not passed; none before it has begun. */
  readonly behind?: number | null;
  readonly trouble?: string | null;
}

export async function waitingOutputs(signal: AbortSignal): Promise<readonly WaitingOutput[]> {
  return read(await request<Health>('health', { language: 'en', signal }));
}

/** Of the outputs those that say that something is wrong. */
export function read(health: Health): readonly WaitingOutput[] {
  const outputs = health.figures?.outputs ?? [];
  return outputs.flatMap(({ name, behind, trouble }) =>
    typeof trouble === 'string' ? [{ name, lag: behind ?? 0, trouble }] : [],
  );
}
