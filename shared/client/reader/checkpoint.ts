import * as z from "zod";
import type { ReignHistory } from "../../follow/reign-history.ts";
import { formatReign, type LogPosition, parseLogPosition, parseReign } from "../../protocol/reign.ts";
import { evenFrontier, frontierOf, readFrom } from "./frontier.ts";
import { type LogStanding, NOTHING_READ } from "./log-course.ts";
import type { Lane } from "./merge.ts";
import { CheckpointInvalid } from "./reader-errors.ts";

/** Where a reader stands after an event. Its parts are never changed, only replaced. */
export interface Standing extends LogStanding {
  /** The newest reigns of the log when it was opened, oldest first, `<reign>.<first index>`. */
  readonly reigns: readonly string[];
  readonly lanes: readonly Lane[];
  /**
   * Of that node's outbox: up to `seq` it has what the log had up to `index`, and what of that is of domains
   * that were read as far was read.
   */
  readonly ownRead: OwnRead | undefined;
}

export interface OwnRead {
  readonly node: string;
  readonly seq: number;
  readonly index: number;
}

export const NOWHERE: Standing = { ...NOTHING_READ, reigns: [], lanes: [], ownRead: undefined };

const PREFIX = "cim1.";
/** As far back as a restored log is compared. */
const KEPT_REIGNS = 8;

const mark = z.tuple([z.number().int(), z.string()]);
const content = z.object({
  l: z.string().optional(),
  s: z.tuple([z.string(), z.number().int(), z.string()]).optional(),
  r: z.array(z.string()).optional(),
  /** Up to which index domains were read, where that is not the position: the others, and some by name. */
  d: z.tuple([z.number().int(), z.array(z.tuple([z.string(), z.number().int()]))]).optional(),
  /** node, sequence in its outbox, index of the log that it had then */
  o: z.tuple([z.string(), z.number().int(), z.number().int()]).optional(),
  /** node, incarnation (0: unknown), sequence, print there, first mark, first sequence read from the outbox */
  a: z
    .array(
      z.tuple([
        z.string(),
        z.number().int(),
        z.number().int(),
        z.string().nullable(),
        mark.nullable(),
        // Checkpoints from before it was kept: all of it counts as read.
        z.number().int().nullable().default(1),
      ]),
    )
    .optional(),
});

/** An opaque string of URL-safe characters. */
export function encodeCheckpoint({ log, local, reigns, lanes, read, ownRead }: Standing): string {
  const { rest, named } = frontierOf(read);
  const isEven = named.size === 0 && rest === (parseLogPosition(log)?.index ?? 0);
  const json: z.infer<typeof content> = {
    ...(log !== undefined && { l: log }),
    ...(local && { s: [local.node, local.seq, local.log] }),
    ...(reigns.length > 0 && { r: [...reigns] }),
    ...(ownRead && !isPast(ownRead, lanes) && { o: [ownRead.node, ownRead.seq, ownRead.index] }),
    ...(!isEven && { d: [rest, [...named]] }),
    ...(lanes.length > 0 && {
      a: lanes.map(({ node, incarnation, seq, last, first, from }) => [
        node,
        incarnation ?? 0,
        seq,
        last?.() ?? null,
        first ? [first.seq, first.print] : null,
        from ?? null,
      ]),
    }),
  };
  return PREFIX + Buffer.from(JSON.stringify(json)).toString("base64url");
}

function isPast({ node, seq }: OwnRead, lanes: readonly Lane[]): boolean {
  return lanes.some((lane) => lane.node === node && lane.seq >= seq);
}

/** @throws CheckpointInvalid */
export function decodeCheckpoint(text: unknown): Standing {
  if (typeof text !== "string" || !text.startsWith(PREFIX)) {
    const shown = typeof text === "string" ? `"${text.slice(0, 20)}"` : String(text);
    throw new CheckpointInvalid(
      `from: ${shown} is no checkpoint of this build; write "start", "now", a Date or an event's checkpoint`,
    );
  }
  try {
    const { l, s, r, d, o, a } = content.parse(
      JSON.parse(Buffer.from(text.slice(PREFIX.length), "base64url").toString()),
    );
    const position = parseLogPosition(l);
    if (l !== undefined && !position) throw new Error(`${l} is no position`);
    const frontier = d ? { rest: d[0], named: new Map(d[1]) } : evenFrontier(position?.index ?? 0);
    return {
      log: l,
      local: s && { node: s[0], seq: s[1], log: s[2] },
      reigns: r ?? [],
      read: readFrom(frontier),
      ownRead: o && { node: o[0], seq: o[1], index: o[2] },
      lanes: (a ?? []).map(([node, incarnation, seq, last, first, from]) => ({
        node,
        incarnation: incarnation || undefined,
        seq,
        last: last === null ? undefined : () => last,
        first: first ? { seq: first[0], print: first[1] } : undefined,
        from: from ?? undefined,
      })),
    };
  } catch (cause) {
    throw new CheckpointInvalid("from: the checkpoint is damaged; pass it as it was given", { cause });
  }
}

export function reignWords(history: ReignHistory): string[] {
  return history.reigns.slice(-KEPT_REIGNS).map(({ reign, index }) => `${formatReign(reign)}.${index}`);
}

/** The log's history as far as the reader knew it when it stood at `last`. */
export function knownHistory(standing: Standing, last: LogPosition): ReignHistory {
  const reigns = standing.reigns.flatMap((words) => {
    const dot = words.lastIndexOf(".");
    const reign = parseReign(words.slice(0, dot));
    return reign ? [{ reign, index: Number(words.slice(dot + 1)), seq: 0 }] : [];
  });
  const upTo = reigns.filter(({ index, reign }) => index <= last.index && reign.epoch <= last.reign.epoch);
  if (!upTo.some(({ reign }) => reign.id === last.reign.id && reign.epoch === last.reign.epoch))
    upTo.push({ reign: last.reign, index: last.index, seq: 0 });
  return { reigns: upTo, last };
}
