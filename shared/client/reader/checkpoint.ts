import * as z from "zod";
import type { ReignHistory } from "../../follow/reign-history.ts";
import { formatReign, type LogPosition, parseLogPosition, parseReign } from "../../protocol/reign.ts";
import type { Lane } from "./merge.ts";
import { CheckpointInvalid } from "./reader-errors.ts";

/** Where a reader stands after an event. Its parts are never changed, only replaced. */
export interface Standing {
  /** `Cim-Log` of the furthest event read from the log; undefined: none. */
  readonly log: string | undefined;
  /** Where that was in which node's stream: found again there without a search. */
  readonly local: { readonly node: string; readonly seq: number; readonly log: string } | undefined;
  /** The newest reigns of the log when it was opened, oldest first, `<reign>.<first index>`. */
  readonly reigns: readonly string[];
  readonly lanes: readonly Lane[];
}

export const NOWHERE: Standing = { log: undefined, local: undefined, reigns: [], lanes: [] };

const PREFIX = "cim1.";
/** As far back as a restored log is compared. */
const KEPT_REIGNS = 8;

const mark = z.tuple([z.number().int(), z.string()]);
const content = z.object({
  l: z.string().optional(),
  s: z.tuple([z.string(), z.number().int(), z.string()]).optional(),
  r: z.array(z.string()).optional(),
  /** node, incarnation (0: unknown), sequence, print there, first mark */
  a: z
    .array(z.tuple([z.string(), z.number().int(), z.number().int(), z.string().nullable(), mark.nullable()]))
    .optional(),
});

/** An opaque string of URL-safe characters. */
export function encodeCheckpoint({ log, local, reigns, lanes }: Standing): string {
  const json: z.infer<typeof content> = {
    ...(log !== undefined && { l: log }),
    ...(local && { s: [local.node, local.seq, local.log] }),
    ...(reigns.length > 0 && { r: [...reigns] }),
    ...(lanes.length > 0 && {
      a: lanes.map(({ node, incarnation, seq, last, first }) => [
        node,
        incarnation ?? 0,
        seq,
        last?.() ?? null,
        first ? [first.seq, first.print] : null,
      ]),
    }),
  };
  return PREFIX + Buffer.from(JSON.stringify(json)).toString("base64url");
}

/** @throws CheckpointInvalid */
export function decodeCheckpoint(text: string): Standing {
  if (!text.startsWith(PREFIX)) {
    throw new CheckpointInvalid(
      `from: "${text.slice(0, 20)}" is no checkpoint of this build; write "start", "now", a Date or an event's checkpoint`,
    );
  }
  try {
    const { l, s, r, a } = content.parse(
      JSON.parse(Buffer.from(text.slice(PREFIX.length), "base64url").toString()),
    );
    if (l !== undefined && !parseLogPosition(l)) throw new Error(`${l} is no position`);
    return {
      log: l,
      local: s && { node: s[0], seq: s[1], log: s[2] },
      reigns: r ?? [],
      lanes: (a ?? []).map(([node, incarnation, seq, last, first]) => ({
        node,
        incarnation: incarnation || undefined,
        seq,
        last: last === null ? undefined : () => last,
        first: first ? { seq: first[0], print: first[1] } : undefined,
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
