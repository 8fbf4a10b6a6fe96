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
}

/** What writers were told, in a file of their own that is synced before anything else happens: the judge's only witness. */
export class Ledger implements AsyncDisposable {
  readonly path: string;
  readonly #file: FileHandle;
  #pending: Acknowledged[] = [];
  #writing: Promise<void> | undefined;

  private constructor(path: string, file: FileHandle) {
    this.path = path;
    this.#file = file;
  }

  static async open(path: string): Promise<Ledger> {
    return new Ledger(path, await open(path, "a"));
  }

  /** Resolves when it is on the disk; what comes meanwhile shares one sync. */
  async note(entry: Acknowledged): Promise<void> {
    this.#pending.push(entry);
    this.#writing ??= Promise.resolve().then(() => this.#write());
    const mine = this.#writing;
    await mine;
  }

  async #write(): Promise<void> {
    while (this.#pending.length > 0) {
      const entries = this.#pending.splice(0);
      await this.#file.write(entries.map((entry) => `${JSON.stringify(entry)}\n`).join(""));
      await this.#file.datasync();
    }
    this.#writing = undefined;
  }

  async entries(): Promise<Acknowledged[]> {
    const lines = (await readFile(this.path, "utf8")).split("\n");
    return lines.filter((line) => line !== "").map((line) => JSON.parse(line) as Acknowledged);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#writing;
    await this.#file.close();
  }
}
