import { COMMAND_SUBJECT, nodeAnswered, nodeAnswers, programCommandRights } from "../protocol/commands.ts";
import { commitRights, NO_STRONG_DOMAINS, type StrongDomains } from "../protocol/commit.ts";
import { type ProgramUserName, STREAM } from "../protocol/names.ts";
import { REPLAY_PREFIX } from "../protocol/replay.ts";
import {
  EVENTS_PREFIX,
  heartbeatSubject,
  inboxPrefix,
  ingestSubject,
  nodeReplies,
  SUBJECT,
  serverApiSubject,
  statusSubject,
} from "../protocol/subjects.ts";
import type { ConfigBlock } from "./server-config-text.ts";

/** What a user may publish and subscribe to, in the words of nats-server's `permissions`. */
export interface Rights extends ConfigBlock {
  readonly publish: { readonly allow: readonly string[]; readonly deny?: readonly string[] };
  readonly subscribe: { readonly allow: readonly string[]; readonly deny?: readonly string[] };
  readonly allow_responses?: boolean;
}

/** The consumers a leaf may keep on the hub's log: one follows it, the other fills in domains newly asked for. */
export const copyConsumer = (leaf: string): string => `copy-${leaf}`;
export const fillConsumer = (leaf: string): string => `fill-${leaf}`;
/** The one by which it takes over states that the hub made of events that the log no longer has. */
export const stateConsumer = (leaf: string): string => `state-${leaf}`;

/**
 * What a leaf may do at the hub, where it is judged: speak under its own name, read the log through consumers that
 * bear its name, and be spoken to. Everything else is refused, other leaves' names above all.
 *
 * Answers to what the hub asks go to `cim.node.<leaf>.reply.>` and not to the hub's inbox: who may publish into
 * another's inbox can answer in everybody's name. So do answers to commands, to `cim.node.<leaf>.answer.>`, which the hub's
 * server hands on to the caller's node (`commandMappings`); there they reach programs' inboxes, not the daemon's.
 */
export function leafLinkRights(
  leaf: string,
  hubDomain: string,
  strong: StrongDomains = NO_STRONG_DOMAINS,
): Rights {
  const api = `$JS.${hubDomain}.API`;
  const log = STREAM.events;
  return {
    publish: {
      allow: [
        ingestSubject(leaf),
        ...commitRights(leaf, strong),
        `cim.coordinator.${leaf}.>`,
        heartbeatSubject(leaf),
        nodeReplies(leaf),
        nodeAnswers(leaf),
        `${api}.STREAM.INFO.${log}`,
        `${api}.STREAM.MSG.GET.${log}`,
        `${api}.DIRECT.GET.${log}`,
        `${api}.DIRECT.GET.${log}.>`,
        `${api}.STREAM.INFO.${STREAM.state}`,
        `${api}.DIRECT.GET.${STREAM.state}`,
        ...[
          [log, copyConsumer(leaf)],
          [log, fillConsumer(leaf)],
          [STREAM.state, stateConsumer(leaf)],
        ].flatMap(([stream, consumer]) => [
          `${api}.CONSUMER.CREATE.${stream}.${consumer}`,
          `${api}.CONSUMER.CREATE.${stream}.${consumer}.>`,
          `${api}.CONSUMER.INFO.${stream}.${consumer}`,
          `${api}.CONSUMER.MSG.NEXT.${stream}.${consumer}`,
          `${api}.CONSUMER.DELETE.${stream}.${consumer}`,
        ]),
      ],
    },
    subscribe: {
      allow: [
        `${inboxPrefix(leaf)}.>`,
        `cim.node.${leaf}.control.>`,
        `cim.node.${leaf}.commands.>`,
        statusSubject(leaf),
        // Whether its server works, asked when its agent is silent: of its whole API this one question.
        serverApiSubject(leaf),
        nodeAnswered(leaf),
        COMMAND_SUBJECT.fleetChanged,
      ],
      deny: [nodeAnswered(leaf).replace("_INBOX", inboxPrefix(leaf))],
    },
  };
}

const READABLE_STREAMS = [
  STREAM.events,
  STREAM.outbox,
  STREAM.refused,
  STREAM.readers,
  STREAM.state,
  STREAM.conflicts,
  STREAM.nodes,
  STREAM.control,
];
const API = "$JS.API";
/** What a client asks of JetStream before it asks for anything particular. */
const FINDING = [`${API}.INFO`, `${API}.STREAM.NAMES`, `${API}.STREAM.LIST`];

/** Reading a stream, by direct gets and by consumers that the reader makes and removes; nothing that changes the stream. */
const readingRights = (stream: string): string[] => [
  `${API}.STREAM.INFO.${stream}`,
  `${API}.STREAM.MSG.GET.${stream}`,
  `${API}.DIRECT.GET.${stream}`,
  `${API}.DIRECT.GET.${stream}.>`,
  `${API}.CONSUMER.CREATE.${stream}`,
  `${API}.CONSUMER.CREATE.${stream}.>`,
  `${API}.CONSUMER.DURABLE.CREATE.${stream}.*`,
  `${API}.CONSUMER.NAMES.${stream}`,
  `${API}.CONSUMER.LIST.${stream}`,
  `${API}.CONSUMER.INFO.${stream}.*`,
  `${API}.CONSUMER.MSG.NEXT.${stream}.*`,
  `${API}.CONSUMER.DELETE.${stream}.*`,
];

/** The consumers by which leaves follow the log are theirs: replaced or drained by a program, a copy would stand still. */
const leavesConsumers = (leaves: readonly string[]): string[] =>
  leaves
    .flatMap((leaf) => [copyConsumer(leaf), fillConsumer(leaf)])
    .flatMap((consumer) => [
      `${API}.CONSUMER.*.${STREAM.events}.${consumer}`,
      `${API}.CONSUMER.*.${STREAM.events}.${consumer}.>`,
      `${API}.CONSUMER.*.*.${STREAM.events}.${consumer}`,
    ]);

const daemonsInboxes = (nodes: readonly string[]): string[] => nodes.map((name) => `${inboxPrefix(name)}.>`);
const CONTROL_EVENTS = `${EVENTS_PREFIX}_cim.>`;

/**
 * What programs on the node may do: append events, ask and answer, and read the node's streams. They can neither
 * write the log nor speak as a daemon. `leaves` are the nodes whose replies pass through this server and that read its
 * log: a program that listens to `_INBOX.>` does not hear them.
 */
export function appRights(
  node: string,
  role: "hub" | "leaf",
  leaves: readonly string[] = [],
  strong: StrongDomains = NO_STRONG_DOMAINS,
): Rights {
  const commands = programCommandRights(node, role);
  return {
    publish: {
      allow: [
        SUBJECT.allEvents,
        // The server judges by what events of strong domains are mapped to.
        ...commitRights(node, strong),
        SUBJECT.readers,
        "cim.commands.>",
        ...commands.sent,
        "cim.queries.>",
        "cim.sagas.>",
        `${REPLAY_PREFIX}.>`,
        // Why an append was not answered: its own agent tells.
        statusSubject(node),
        ...FINDING,
        ...READABLE_STREAMS.flatMap(readingRights),
        "$JS.ACK.>",
        "$JS.FC.>",
      ],
      deny: [CONTROL_EVENTS, ...leavesConsumers(leaves)],
    },
    subscribe: {
      allow: [
        "_INBOX.>",
        SUBJECT.allEvents,
        "cim.commands.>",
        "cim.queries.>",
        "cim.sagas.>",
        `${REPLAY_PREFIX}.>`,
        ...commands.heard,
      ],
      deny: daemonsInboxes([node, ...leaves]),
    },
    // Answers go to whoever asked, without a right to publish into inboxes.
    allow_responses: true,
  };
}

/** The guide's user for events: appends, reads the log or copy and its node's own outbox, and keeps how far it has read. */
function eventsRights(
  node: string,
  _: "hub" | "leaf",
  leaves: readonly string[],
  strong: StrongDomains,
): Rights {
  const streams = [STREAM.events, STREAM.outbox];
  return {
    publish: {
      allow: [
        SUBJECT.allEvents,
        ...commitRights(node, strong),
        SUBJECT.readers,
        statusSubject(node),
        ...FINDING,
        ...[...streams, STREAM.readers, STREAM.state].flatMap(readingRights),
        // Acknowledgements of messages it read, as servers of today and of tomorrow (with domain and account) address them.
        ...streams.flatMap((stream) => [
          `$JS.ACK.${stream}.>`,
          `$JS.ACK.*.*.${stream}.>`,
          `$JS.FC.${stream}.>`,
        ]),
      ],
      deny: [CONTROL_EVENTS, ...leavesConsumers(leaves)],
    },
    subscribe: {
      allow: ["_INBOX.>", SUBJECT.allEvents],
      deny: daemonsInboxes([node, ...leaves]),
    },
    allow_responses: true,
  };
}

/** The guide's users that only ask and answer: below one prefix, and nothing of JetStream. */
function talkingRights(
  node: string,
  leaves: readonly string[],
  subject: string,
  more: { readonly sent: readonly string[]; readonly heard: readonly string[] } = { sent: [], heard: [] },
) {
  return {
    publish: { allow: [subject, ...more.sent] },
    subscribe: { allow: ["_INBOX.>", subject, ...more.heard], deny: daemonsInboxes([node, ...leaves]) },
    allow_responses: true,
  };
}

/** Users for programs that a configuration may name, and their rights on a node. */
export const PROGRAM_RIGHTS: Readonly<
  Record<
    ProgramUserName,
    (node: string, role: "hub" | "leaf", leaves: readonly string[], strong: StrongDomains) => Rights
  >
> = {
  app: appRights,
  "cim-events": eventsRights,
  "cim-commands": (node, role, leaves) =>
    talkingRights(node, leaves, "cim.commands.>", programCommandRights(node, role)),
  "cim-queries": (node, _, leaves) => talkingRights(node, leaves, "cim.queries.>"),
  "cim-sagas": (node, _, leaves) => talkingRights(node, leaves, "cim.sagas.>"),
};
