import { setTimeout as sleep } from "node:timers/promises";
import { type CimEvent, connectCim } from "../../shared/client/connect-cim.ts";
import { errorText } from "../../shared/protocol/error-text.ts";
import { type HandledLine, LedgerReader } from "./reader.ts";
import type { FaultNode } from "./target.ts";

const largestGroup = 500;
const againAfterMs = 200;

/**
 * Reads by `cim.subscribe`: the node's own events from its outbox, others' from its log or copy. It handles events in
 * groups, and the checkpoint counts with the group's lines: what it had but not handled when it is stopped comes again.
 */
export class MergedReader extends LedgerReader {
  readonly #onNotice: (line: string) => void;
  #checkpoint = "start";

  /** `onNotice` is told why it had to begin again, and what the library tells of itself. */
  constructor(node: FaultNode, path: string, onNotice: (line: string) => void = () => {}) {
    super(node, path);
    this.#onNotice = onNotice;
  }

  protected async read(stopping: AbortSignal): Promise<void> {
    while (!stopping.aborted) {
      try {
        await using cim = await connectCim({ url: this.url, name: `fault reader ${this.node}` });
        const onNotice = (line: string) => this.#onNotice(`reader on ${this.node}: ${line}`);
        const events = cim.subscribe({ from: this.#checkpoint, signal: stopping, onNotice });
        await this.#handle(events, stopping);
      } catch (error) {
        this.#onNotice(`reader on ${this.node}: ${errorText(error)}`);
        await sleep(againAfterMs);
      }
    }
  }

  async #handle(events: AsyncIterable<CimEvent>, stopping: AbortSignal): Promise<void> {
    let lines: HandledLine[] = [];
    let last: CimEvent | undefined;
    let writing: Promise<void> | undefined;
    const write = async () => {
      while (lines.length > 0 && !stopping.aborted) {
        const [group, reached] = [lines, last?.checkpoint];
        lines = [];
        await this.ledger.note(group);
        if (reached !== undefined) this.#checkpoint = reached;
      }
      writing = undefined;
    };
    for await (const event of events) {
      lines.push([event.origin.node, event.id]);
      last = event;
      writing ??= write();
      if (lines.length >= largestGroup) await writing;
    }
    await writing;
  }
}
