import { appendFile, readFile, rename, writeFile } from "node:fs/promises";
import type { BlockSums, StoredCell } from "../../consistency/proof/block-sums.ts";
import type { CountMark } from "../../consistency/proof/stream-count.ts";

/** Up to where a ledger has counted its stream. */
export interface Counted {
  /** The stream's sequence. */
  readonly seq: number;
  readonly mark: CountMark | null;
  /** The highest log index that was counted: in a copy, what was filled in came later and stands lower. */
  readonly highest: number;
  /** The stream's figures at that time: what was deleted since shows in them. */
  readonly firstSeq: number;
  readonly deleted: number;
}

/** One save: what changed since the last, and up to where. */
interface Line {
  readonly at: Counted;
  readonly sums: Readonly<
    Record<string, readonly { readonly block: number; readonly cells: StoredCell[] }[]>
  >;
}

/** Longer, and the file is written anew: it is read whole at a start. */
const MOST_SAVES = 500;

/**
 * A ledger's sums on the disk: one line of JSON for each save, with the blocks that changed. Not synced: what a power cut
 * takes is counted again from the stream. A line that can't be read ends the reading; what came before it holds.
 */
export class LedgerFile {
  readonly #path: string;
  readonly #sums: Readonly<Record<string, BlockSums>>;
  #saves = MOST_SAVES;

  constructor(path: string, sums: Readonly<Record<string, BlockSums>>) {
    this.#path = path;
    this.#sums = sums;
  }

  /** Puts what was saved into the sums. Gives up to where they count; undefined: nothing was saved. */
  async load(): Promise<Counted | undefined> {
    let text: string;
    try {
      text = await readFile(this.#path, "utf8");
    } catch {
      return undefined;
    }
    let at: Counted | undefined;
    this.#saves = 0;
    for (const line of text.split("\n")) {
      const save = parseLine(line);
      if (!save) break;
      for (const [name, blocks] of Object.entries(save.sums))
        for (const { block, cells } of blocks) this.#sums[name]?.restore(block, cells);
      at = save.at;
      this.#saves += 1;
    }
    // Behind what can't be read nothing may be added.
    if (text !== "" && !text.endsWith("\n")) this.#saves = MOST_SAVES;
    return at;
  }

  async save(at: Counted): Promise<void> {
    const changes = this.#changes();
    if (this.#saves < MOST_SAVES) {
      this.#saves += 1;
      await appendFile(this.#path, `${JSON.stringify({ at, sums: changes } satisfies Line)}\n`);
      return;
    }
    const sums = Object.fromEntries(
      Object.entries(this.#sums).map(([name, all]) => [
        name,
        all.blocks().map((block) => ({ block, cells: all.cells(block) })),
      ]),
    );
    const beside = `${this.#path}.new`;
    await writeFile(beside, `${JSON.stringify({ at, sums } satisfies Line)}\n`, { mode: 0o600 });
    await rename(beside, this.#path);
    this.#saves = 1;
  }

  #changes(): Line["sums"] {
    return Object.fromEntries(Object.entries(this.#sums).map(([name, all]) => [name, all.takeChanges()]));
  }
}

function parseLine(text: string): Line | undefined {
  try {
    const line = JSON.parse(text) as Line;
    return typeof line.at?.seq === "number" && line.sums ? line : undefined;
  } catch {
    return undefined;
  }
}
