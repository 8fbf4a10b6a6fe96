import { type HttpServer, httpError, json } from "../../shared/observe/http-server.ts";
import { isDomain, isToken } from "../../shared/protocol/subjects.ts";
import type { ConflictFilter } from "./conflict-journal.ts";
import { isConflictId, type JournalledConflict } from "./conflict-record.ts";

export interface ConflictsSource {
  list(filter: ConflictFilter): Promise<JournalledConflict[]>;
  find(id: string): Promise<JournalledConflict | undefined>;
}

const KNOWN = ["domain", "aggregate", "limit"];
const USUAL_LIMIT = 100;
const MAX_LIMIT = 1_000;

/** `/api/v1/conflicts`. */
export interface ConflictsAnswer {
  /** Whether conflicts are noted now: it follows from folding the log into states. */
  readonly noted: boolean;
  /** The newest first, each with what was done about it. */
  readonly conflicts: readonly JournalledConflict[];
}

/** @param noted whether the hub folds its log now */
export function addConflictsApi(http: HttpServer, journal: ConflictsSource, noted: () => boolean): void {
  http.route("GET", "/api/v1/conflicts", async ({ query }) => {
    const read = readFilter(query);
    if ("problem" in read) return httpError(400, read.problem);
    const answer: ConflictsAnswer = { noted: noted(), conflicts: await journal.list(read.filter) };
    return json(answer);
  });
  http.route("GET", "/api/v1/conflicts/:id", async ({ params }) => {
    const id = params.id ?? "";
    if (!isConflictId(id))
      return httpError(400, `"${id}" is no conflict; write its id as the list has it, as 1200.1`);
    const conflict = await journal.find(id);
    return conflict
      ? json(conflict)
      : httpError(404, `the journal has no conflict ${id}, or no longer; /api/v1/conflicts lists them`);
  });
}

/** Pure. */
export function readFilter(
  query: URLSearchParams,
): { readonly filter: ConflictFilter } | { readonly problem: string } {
  const unknown = [...query.keys()].find((key) => !KNOWN.includes(key));
  if (unknown !== undefined)
    return { problem: `there is no "${unknown}" in /api/v1/conflicts; write ${KNOWN.join(", ")}` };
  const domain = query.get("domain") ?? undefined;
  const aggregate = query.get("aggregate") ?? undefined;
  if (domain !== undefined && !isDomain(domain))
    return { problem: `domain: "${domain}" is no domain; write one word, as person` };
  if (aggregate !== undefined && domain === undefined)
    return { problem: "aggregate: write its domain too, as domain=person" };
  if (aggregate !== undefined && !aggregate.split(".").every(isToken))
    return { problem: `aggregate: "${aggregate}" is no aggregate; write it as its events' subjects have it` };
  const limit = Number(query.get("limit") ?? USUAL_LIMIT);
  if (!Number.isInteger(limit) || limit < 1 || limit > MAX_LIMIT)
    return { problem: `limit: "${query.get("limit")}" is not a number from 1 to ${MAX_LIMIT}` };
  return {
    filter: { limit, ...(domain !== undefined && { domain }), ...(aggregate !== undefined && { aggregate }) },
  };
}
