import { setTimeout as sleep } from "node:timers/promises";
import { StreamReader } from "../shared/nats/stream-reader.ts";
import { type ReadEvent, readEvent } from "../shared/protocol/cloud-event.ts";
import { STREAM } from "../shared/protocol/names.ts";
import { logState, newestIndex, seqAt } from "./find-in-log.ts";
import type { LogPlace } from "./log-place.ts";
import type { NodeConnection } from "./node-connection.ts";

export interface FollowLog {
  readonly node: NodeConnection;
  readonly filters: readonly string[];
  readonly from: LogPlace;
  /** Ends it. */
  readonly signal: AbortSignal;
  /** Told when the server is away, and when it is back. */
  readonly onNotice: (line: string) => void;
}

const AGAIN_MS = 500;

/** The events of a node's log or copy from a place on, live, over restarts of its server, until `signal`. */
export async function* followLog(follow: FollowLog): AsyncGenerator<ReadEvent> {
  const { node, filters, from, signal, onNotice } = follow;
  const skipBefore = from.kind === "index" ? from.index : 0;
  let nextSeq: number | undefined;
  let lastIndex: number | undefined;
  let away = false;
  while (!signal.aborted) {
    let reader: StreamReader | undefined;
    const end = () => reader?.break("ended");
    const unwatch = node.watch.onChange((connected) => connected || reader?.break("the connection was lost"));
    try {
      const state = await logState(node.nc, node.node);
      if (nextSeq === undefined) {
        nextSeq = await seqAt(node.nc, state, from);
        if (from.kind === "index") await tellOfTheWait(follow, from.index);
      } else if (state.last_seq + 1 < nextSeq) {
        // Another store than before, as a copy that is filled anew: what was shown tells where to go on.
        onNotice(`the log on ${node.node} was made anew`);
        nextSeq = await seqAt(
          node.nc,
          state,
          lastIndex === undefined ? from : { kind: "index", index: lastIndex + 1 },
        );
      }
      reader = await new StreamReader({
        nc: node.nc,
        stream: STREAM.events,
        startSeq: nextSeq,
        filters,
      }).start();
      signal.addEventListener("abort", end);
      if (signal.aborted) return;
      if (away) onNotice(`${node.node} is back`);
      away = false;
      for (;;) {
        for (const message of await reader.next()) {
          nextSeq = message.seq + 1;
          const event = readEvent(message, node.node);
          if (!event || (event.index ?? 0) < skipBefore) continue;
          lastIndex = event.index;
          yield event;
        }
      }
    } catch (error) {
      if (signal.aborted) return;
      // What is wrong at first is for the user; what breaks later passes, as a server that restarts.
      if (nextSeq === undefined) throw error;
      if (!away)
        onNotice(
          `${node.node} does not answer (${error instanceof Error ? error.message : error}); waiting for it`,
        );
      away = true;
      await sleep(AGAIN_MS, undefined, { signal }).catch(() => undefined);
    } finally {
      signal.removeEventListener("abort", end);
      unwatch();
      await reader?.[Symbol.asyncDispose]();
    }
  }
}

/** Where the log ends before that: the wait may be long, and the number mistyped. */
async function tellOfTheWait({ node: { nc, node }, onNotice }: FollowLog, index: number): Promise<void> {
  const newest = await newestIndex(nc);
  if (newest !== undefined && newest >= index) return;
  const ends = newest === undefined ? "" : `, its newest is ${newest}`;
  onNotice(`the log on ${node} has nothing from ${index} on yet${ends}; waiting for it`);
}
