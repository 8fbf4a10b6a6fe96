import { type FileHandle, open, readFile } from "node:fs/promises";

/** What a writer was told: its event is stored, and where. */
export interface Acknowledged {
  readonly node: string;
  /** The outbox's sequence from the PubAck. */
  readonly seq: number;
  /** The writer's own id, sent as `Nats-Msg-Id`; null: it sent none. */
  readonly id: string | null;
  readonly subject: string;
  /** `bodyHash` of what was sent. */
  readonly body: string;
  /** The how manieth event of its writer it is, and how often it was sent until an answer came. */
  readonly n?: number;
  readonly tries?: number;
}

/** What writers were told, in a file of their own that is synced before anything else happens: the judge's only witness. */
export class Ledger implements AsyncDisposable {
  readonly path: string;
  readonly #file: FileHandle;
  #pending: string[] = [];
  /** The write that will take what is pending, and the one before it. */
  #next: Promise<void> | undefined;
  #last: Promise<void> = Promise.resolve();

  private constructor(path: string, file: FileHandle) {
    this.path = path;
    this.#file = file;
  }

  static async open(path: string): Promise<Ledger> {
    return new Ledger(path, await open(path, "a"));
  }

  /** Resolves when it is on the disk; what comes while another is written shares the next sync. */
  async note(...entries: readonly Acknowledged[]): Promise<void> {
    for (const entry of entries) this.#pending.push(`${JSON.stringify(entry)}\n`);
    this.#next ??= this.#last = this.#last.then(() => this.#write());
    await this.#next;
  }

  async #write(): Promise<void> {
    this.#next = undefined;
    await this.#file.write(this.#pending.splice(0).join(""));
    await this.#file.datasync();
  }

  async entries(): Promise<Acknowledged[]> {
    const lines = (await readFile(this.path, "utf8")).split("\n");
    return lines.filter((line) => line !== "").map((line) => JSON.parse(line) as Acknowledged);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#last;
    await this.#file.close();
  }
}
