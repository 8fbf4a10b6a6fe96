/**
 * What a machine waits for: the one answer to the question it asked last. Every question has a token of its own; an answer to
 * an older one says nothing any more, and one that the network delivers twice counts once.
 */
export class AwaitedAnswer {
  #next = 1;
  #awaited = 0;

  /** A token that nothing else has, for what is answered beside the awaited question. */
  token(): number {
    return this.#next++;
  }

  /** The token of a question whose answer is awaited from now on, and no other. */
  ask(): number {
    this.#awaited = this.token();
    return this.#awaited;
  }

  /** Nothing is awaited any more. */
  forget(): void {
    this.#awaited = 0;
  }

  is(token: number): boolean {
    return token === this.#awaited;
  }

  /** Whether it is the awaited answer, which then has come. */
  came(token: number): boolean {
    if (!this.is(token)) return false;
    this.forget();
    return true;
  }
}
