/** Where a text stops being JSON: 1-based, and what was expected there. */
export interface JsonFault {
  readonly line: number;
  readonly column: number;
  readonly problem: string;
}

/**
 * Finds the place at which a text is not JSON, or a key that an object has twice (JSON.parse takes the last
 * silently); null when there is none. The engine's own message leaves the place out for short texts.
 */
export function jsonFault(text: string): JsonFault | null {
  const scanner = new JsonScanner(text);
  try {
    scanner.document();
    return null;
  } catch (error) {
    if (!(error instanceof Stop)) throw error;
    const before = text.slice(0, error.offset);
    const line = before.split("\n").length;
    return { line, column: error.offset - before.lastIndexOf("\n"), problem: error.message };
  }
}

class Stop extends Error {
  readonly offset: number;
  constructor(offset: number, problem: string) {
    super(problem);
    this.offset = offset;
  }
}

/** Deeper nesting is no configuration, and would exhaust the stack. */
const DEEPEST = 100;

const SPACE = /[ \t\r\n]*/y;
const SCALAR = /-?(?:0|[1-9]\d*)(?:\.\d+)?(?:[eE][+-]?\d+)?(?![\w.])|true\b|false\b|null\b/y;
// biome-ignore lint/suspicious/noControlCharactersInRegex: JSON forbids just these inside a string
const STRING = /"(?:[^"\\\u0000-\u001f]|\\(?:["\\/bfnrt]|u[0-9a-fA-F]{4}))*"/y;

class JsonScanner {
  readonly #text: string;
  #at = 0;

  constructor(text: string) {
    this.#text = text;
  }

  document(): void {
    this.#value(0);
    this.#space();
    if (this.#at < this.#text.length) this.#fail("nothing may follow the document");
  }

  #value(depth: number): void {
    if (depth > DEEPEST) this.#fail(`nested deeper than ${DEEPEST}`);
    this.#space();
    if (this.#eat("{")) this.#object(depth);
    else if (this.#eat("[")) this.#array(depth);
    else if (this.#match(STRING) === null && this.#match(SCALAR) === null) {
      this.#fail(
        this.#sees('"') ? "a string that does not end, or has a wrong escape" : "a value is expected",
      );
    }
  }

  #object(depth: number): void {
    const names = new Set<string>();
    this.#space();
    if (this.#eat("}")) return;
    for (;;) {
      this.#space();
      const start = this.#at;
      const quoted = this.#match(STRING);
      if (quoted === null) this.#fail('a key in "…" is expected');
      const name = String(JSON.parse(quoted));
      if (names.has(name)) this.#fail(`the key ${JSON.stringify(name)} is there twice`, start);
      names.add(name);
      this.#space();
      if (!this.#eat(":")) this.#fail("a : is expected after the key");
      this.#value(depth + 1);
      this.#space();
      if (this.#eat("}")) return;
      if (!this.#eat(",")) this.#fail("a , or } is expected");
    }
  }

  #array(depth: number): void {
    this.#space();
    if (this.#eat("]")) return;
    for (;;) {
      this.#value(depth + 1);
      this.#space();
      if (this.#eat("]")) return;
      if (!this.#eat(",")) this.#fail("a , or ] is expected");
    }
  }

  #space(): void {
    this.#match(SPACE);
  }

  #match(pattern: RegExp): string | null {
    pattern.lastIndex = this.#at;
    const found = pattern.exec(this.#text)?.[0] ?? null;
    this.#at += found?.length ?? 0;
    return found;
  }

  #sees(character: string): boolean {
    return this.#text[this.#at] === character;
  }

  #eat(character: string): boolean {
    const seen = this.#sees(character);
    if (seen) this.#at += 1;
    return seen;
  }

  #fail(problem: string, offset = this.#at): never {
    const comment = /^(\/\/|\/\*|#)/.test(this.#text.slice(offset));
    const ends = offset >= this.#text.length;
    throw new Stop(
      offset,
      comment ? "JSON has no comments" : ends ? `the text ends, but ${problem}` : problem,
    );
  }
}
