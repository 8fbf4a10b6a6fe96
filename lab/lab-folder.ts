import { errorText } from "../shared/protocol/error-text.ts";
import { FolderLock } from "./folder-lock.ts";
import { LabError } from "./lab-error.ts";
import { findLeftovers } from "./leftovers.ts";
import { makeLabFolder } from "./node-files.ts";
import { nodePaths } from "./node-plan.ts";
import { bootId, endProcess, identify, type ProcessIdentity } from "./process-identity.ts";
import { type NodeState, readLabState, writeLabState } from "./state.ts";

const leftoverGraceMs = 5_000;

export type LabMemory = { readonly control: string | null; readonly nodes: readonly NodeState[] };

/** A lab's folder, held by this process: what was there, and what is to be found there after a crash. */
export class LabFolder implements AsyncDisposable {
  readonly dir: string;
  /** The nodes as the lab before left them; no process of theirs runs any more. */
  readonly previous: readonly NodeState[];
  readonly #lock: FolderLock;
  readonly #boot: string;
  readonly #me: ProcessIdentity | null;
  #writing: Promise<void> = Promise.resolve();

  private constructor(
    dir: string,
    previous: readonly NodeState[],
    lock: FolderLock,
    boot: string,
    me: ProcessIdentity | null,
  ) {
    this.dir = dir;
    this.previous = previous;
    this.#lock = lock;
    this.#boot = boot;
    this.#me = me;
  }

  /**
   * Takes the folder, and ends what a lab that crashed left running in it.
   * @throws LabError when a live lab holds it (with its pid), or it can't be written
   */
  static async open(dir: string, onNotice: (line: string) => void): Promise<LabFolder> {
    await makeLabFolder(dir);
    const lock = await FolderLock.take(dir);
    try {
      const [previous, boot, me] = await Promise.all([readLabState(dir), bootId(), identify(process.pid)]);
      if (previous) {
        const files = previous.nodes.map(({ name }) => ({ name, ...nodePaths(dir, name) }));
        const leftovers = await findLeftovers(previous, boot, files);
        for (const part of ["daemon", "nats"] as const) {
          await Promise.all(
            leftovers
              .filter((leftover) => leftover.part === part)
              .map(async (leftover) => {
                await endProcess(leftover, leftoverGraceMs);
                onNotice(`ended ${leftover.label} (pid ${leftover.pid}), left by a lab that crashed`);
              }),
          );
        }
      }
      return new LabFolder(dir, previous?.nodes ?? [], lock, boot, me ?? null);
    } catch (error) {
      await lock[Symbol.asyncDispose]();
      throw error;
    }
  }

  /** Writes down what runs now. Calls may overlap: each writes what `memory` gives when its turn comes. */
  async remember(memory: () => LabMemory): Promise<void> {
    await this.#write(this.#me, memory);
  }

  /** The lab has ended in order: nothing is left to take over. Lets the folder go. */
  async close(memory: () => LabMemory): Promise<void> {
    try {
      await this.#write(null, memory);
    } finally {
      await this[Symbol.asyncDispose]();
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#writing;
    await this.#lock[Symbol.asyncDispose]();
  }

  async #write(lab: ProcessIdentity | null, memory: () => LabMemory): Promise<void> {
    const written = this.#writing.then(() => {
      const { control, nodes } = memory();
      return writeLabState(this.dir, { version: 1, bootId: this.#boot, lab, control, nodes: [...nodes] });
    });
    this.#writing = written.catch(() => {});
    try {
      await written;
    } catch (cause) {
      throw new LabError(`cannot write the lab's state in ${this.dir}: ${errorText(cause)}`, 2, { cause });
    }
  }
}
