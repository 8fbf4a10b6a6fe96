import * as z from "zod";
import { STREAM } from "./names.ts";
import { isDomain, isToken } from "./subjects.ts";

// Commands: requests that the coordinator routes to a leaf. The way of one, from a program on leaf1 to one on leaf2:
//
//   program      cim.commands.orders.Place                reply _INBOX.x
//   leaf1's server maps it to
//                cim.coordinator.leaf1.commands.orders.Place        under its own name: its link proves where it is from
//   coordinator  cim.node.leaf2.commands.orders.Place     reply cim.node.leaf2.answer.leaf1._INBOX.x
//   handler      cim.node.leaf2.answer.leaf1._INBOX.x     under its own name: the only place its link lets it publish
//   hub's server maps it to
//                cim.node.leaf1.answered._INBOX.x
//   leaf1's server maps it to
//                _INBOX.x
//
// Who asked for a route sends to cim.coordinator.leaf1.direct.leaf2.orders.Place with that reply itself; the hub's server
// maps it to cim.node.leaf2.commands.orders.Place.

const COMMANDS = "cim.commands.";

/** What a program sends its command to. */
export const commandSubject = (domain: string, command: string): string => `${COMMANDS}${domain}.${command}`;

/** Commands of a node's programs as the coordinator hears them. */
const askedPrefix = (node: string): string => `cim.coordinator.${node}.commands.`;

/** Who could do a command: asked by a program, of the coordinator. */
export const routeAskSubject = (node: string, domain: string, command: string): string =>
  `cim.coordinator.${node}.route.${domain}.${command}`;

/** What a program sends a command to that is for this leaf. */
export const directCommandSubject = (caller: string, leaf: string, domain: string, command: string): string =>
  `cim.coordinator.${caller}.direct.${leaf}.${domain}.${command}`;

/** What a handler on a node listens to. */
export const routedCommandSubject = (node: string, domain: string, command: string): string =>
  `${routedCommandPrefix(node)}${domain}.${command}`;
export const routedCommandPrefix = (node: string): string => `cim.node.${node}.commands.`;

/** Where a handler's answer goes, for the program on `caller` that listens to `inbox`. */
export const answerSubject = (node: string, caller: string, inbox: string): string =>
  `cim.node.${node}.answer.${caller}.${inbox}`;
/** The same as the hub's server hands it on. */
export const answeredSubject = (caller: string, inbox: string): string =>
  `cim.node.${caller}.answered.${inbox}`;

/** What programs on a node remember of a command, by a hash of its id. Never leaves the node. */
export const rememberedSubject = (domain: string, command: string, hash: string): string =>
  `cim.answers.${domain}.${command}.${hash}`;

export const COMMAND_SUBJECT = {
  /** All that programs send. */
  all: `${COMMANDS}>`,
  /** All of them, as the coordinator hears them. */
  asked: "cim.coordinator.*.commands.>",
  /** Questions for a route. */
  routeAsked: "cim.coordinator.*.route.>",
  /** Something that routes depend on is other than it was. */
  fleetChanged: "cim.fleet.changed",
  /** All that is remembered. */
  remembered: "cim.answers.>",
  /** All answers, on their way to the caller's node. */
  answered: "cim.node.*.answered.>",
  /** Where the coordinator hears that nobody listened: the server says so to the publisher's own subscription. */
  unheard: "cim.node.*.answer.>",
} as const;

/** What a node's link may publish and hear of all this. */
export const nodeAnswers = (node: string): string => `cim.node.${node}.answer.>`;
export const nodeAnswered = (node: string): string => `cim.node.${node}.answered._INBOX.>`;
export const nodeAsks = (node: string): string => `${askedPrefix(node)}>`;

/** What programs on a node may publish and hear of all this. The server judges by what a subject is mapped to. */
export function programCommandRights(node: string, role: "hub" | "leaf") {
  const asks = [nodeAsks(node), `cim.coordinator.${node}.route.>`];
  // That nobody listens is told where an answer would be published.
  const hears = [
    `${routedCommandPrefix(node)}>`,
    COMMAND_SUBJECT.fleetChanged,
    `cim.node.*.answer.${node}.>`,
  ];
  return role === "hub"
    ? { sent: [...asks, "cim.node.*.commands.>"], heard: [...hears, nodeAnswered(node)] }
    : {
        sent: [
          ...asks,
          `cim.coordinator.${node}.direct.>`,
          `${routedCommandPrefix(node)}>`,
          COMMAND_SUBJECT.remembered,
          `$JS.API.DIRECT.GET.${STREAM.answers}`,
        ],
        heard: hears,
      };
}

/** What a node's server maps to what, so that any client can send a command and hear its answer. */
export function commandMappings(node: string, role: "hub" | "leaf"): Readonly<Record<string, string>> {
  return {
    [COMMAND_SUBJECT.all]: nodeAsks(node),
    ...(role === "hub"
      ? {
          [COMMAND_SUBJECT.unheard.replace(".>", ".*.>")]: "cim.node.{{wildcard(2)}}.answered.>",
          "cim.coordinator.*.direct.*.>": "cim.node.{{wildcard(2)}}.commands.>",
        }
      : { [nodeAnswered(node)]: "_INBOX.>" }),
  };
}

/** Whether `orders.Place`, `orders.*`, `orders.>` or the like covers the command. */
export function coversCommand(pattern: string, domain: string, command: string): boolean {
  if (pattern === ">") return true;
  const dot = pattern.indexOf(".");
  if (dot < 0) return false;
  const [ofDomain, ofCommand] = [pattern.slice(0, dot), pattern.slice(dot + 1)];
  return (
    (ofDomain === "*" || ofDomain === domain) &&
    (ofCommand === "*" || ofCommand === ">" || ofCommand === command)
  );
}

export interface AskedCommand {
  /** The node whose program sends it; proved by its link. */
  readonly caller: string;
  readonly domain: string;
  readonly command: string;
}

/** Reads a subject that the coordinator heard; undefined: it does not end in a domain and a command. */
export function parseAskedCommand(subject: string): AskedCommand | undefined {
  const [, , caller = "", , domain = "", command = "", ...more] = subject.split(".");
  if (more.length > 0 || !isDomain(domain) || !isToken(command)) return undefined;
  return { caller, domain, command };
}

/** Only programs' inboxes: a command must not be a way to have an answer published just anywhere. */
export function isProgramInbox(reply: string | undefined): reply is string {
  return reply !== undefined && reply.length <= 200 && /^_INBOX(\.[^\s.*>]+)+$/.test(reply);
}

/** Headers of a command and its answer. All are optional. */
export const COMMAND_HEADER = {
  /** Capabilities that the leaf must have, with commas. */
  require: "Cim-Require",
  /** A region, or `latitude,longitude`. Default: where the caller is. */
  near: "Cim-Near",
  strategy: "Cim-Strategy",
  /** `elsewhere`: when the leaf goes away with it, another may do it again. Needs an `id` in the body. */
  retry: "Cim-Retry",
  /** Of an answer that is none: why, in one word. */
  error: "Cim-Error",
  /** Of an answer by the library's handlers: who did it. */
  node: "Cim-Node",
  /** Of an answer by them: the id of the command, so that it is told from another's to the same inbox. */
  id: "Cim-Id",
  /** By the coordinator, to a handler that says when it is done (`held-commands.ts`): nothing else would tell. */
  counted: "Cim-Counted",
} as const;

export const RETRY_ELSEWHERE = "elsewhere";

/** Whether an id can be said in a header as it is. */
export const isEchoable = (id: string): boolean => /^[!-~]{1,256}$/.test(id);

/** The body of a command: only `id` is looked at, the idempotency key. Other bodies are routed too. */
export const commandBody = z.looseObject({
  id: z.string().min(1).max(256),
  timestamp: z.string().optional(),
  command: z.string().optional(),
  data: z.unknown().optional(),
  /** The id was made for this sending: nobody can have it from before. */
  fresh: z.boolean().optional(),
});
export type CommandBody = z.infer<typeof commandBody>;

/** The answer to a question for a route. */
export const routeAnswer = z.object({
  /** Leaves that are as good as each other; at least one. */
  nodes: z.array(z.string()).min(1),
  /** The hub's own programs hear answers elsewhere than others. */
  callerIsHub: z.boolean(),
});
export type RouteAnswer = z.infer<typeof routeAnswer>;

/** `cim.fleet.changed`: what was answered before may be wrong now. */
export const fleetChanged = z.object({
  /** Leaves that can't answer any more what they had. */
  gone: z.array(z.string()),
  /** Leaves on which a program ended: commands that were sent there may be with nobody. Routes are as they were. */
  ended: z.array(z.string()).optional(),
});
export type FleetChanged = z.infer<typeof fleetChanged>;

/** The body of an answer with `Cim-Error`. */
export const commandError = z.object({
  error: z.object({
    code: z.string(),
    message: z.string(),
    /** The leaf that had it, if one had. */
    node: z.string().nullable().optional(),
    /** Whether it may have been done all the same. */
    outcome: z.enum(["not-done", "unknown"]),
  }),
});
export type CommandError = z.infer<typeof commandError>["error"];
