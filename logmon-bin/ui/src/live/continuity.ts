/**
 * Rule 1 of the live protocol: for one subscription and epoch every message that covers a range
 * begins where the one before it ended. Anything else is a hole or a repeat, that is, a bug.
 */
export interface Violation {
  readonly sub: string;
  readonly epoch: number;
  readonly expected: string;
  readonly got: string;
}

export class Continuity {
  private key = '';
  private next: bigint | null = null;

  /** Looks at one range; tells what is wrong with it, or null. */
  check(sub: string, epoch: number, fromSeq: string, toSeq: string): Violation | null {
    const key = `${sub}/${epoch}`;
    const from = BigInt(fromSeq);
    const expected = key === this.key ? this.next : null;
    if (expected !== null && from !== expected) {
      return { sub, epoch, expected: expected.toString(), got: fromSeq };
    }
    this.key = key;
    this.next = BigInt(toSeq) + 1n;
    return null;
  }

  reset(): void {
    this.key = '';
    this.next = null;
  }
}
