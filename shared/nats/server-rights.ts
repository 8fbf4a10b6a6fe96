import { STREAM } from "../protocol/names.ts";
import { REPLAY_PREFIX } from "../protocol/replay.ts";
import {
  EVENTS_PREFIX,
  heartbeatSubject,
  inboxPrefix,
  ingestSubject,
  nodeReplies,
  SUBJECT,
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

/**
 * What a leaf may do at the hub, where it is judged: speak under its own name, read the log through consumers that
 * bear its name, and be spoken to. Everything else is refused, other leaves' names above all.
 *
 * Answers to what the hub asks go to `cim.node.<leaf>.reply.>` and not to the hub's inbox: who may publish into
 * another's inbox can answer in everybody's name.
 */
export function leafLinkRights(leaf: string, hubDomain: string): Rights {
  const api = `$JS.${hubDomain}.API`;
  const log = STREAM.events;
  return {
    publish: {
      allow: [
        ingestSubject(leaf),
        `cim.commit.${leaf}.>`,
        `cim.coordinator.${leaf}.>`,
        heartbeatSubject(leaf),
        nodeReplies(leaf),
        `${api}.STREAM.INFO.${log}`,
        `${api}.STREAM.MSG.GET.${log}`,
        `${api}.DIRECT.GET.${log}`,
        `${api}.DIRECT.GET.${log}.>`,
        ...[copyConsumer(leaf), fillConsumer(leaf)].flatMap((consumer) => [
          `${api}.CONSUMER.CREATE.${log}.${consumer}`,
          `${api}.CONSUMER.CREATE.${log}.${consumer}.>`,
          `${api}.CONSUMER.INFO.${log}.${consumer}`,
          `${api}.CONSUMER.MSG.NEXT.${log}.${consumer}`,
          `${api}.CONSUMER.DELETE.${log}.${consumer}`,
        ]),
      ],
    },
    subscribe: {
      allow: [
        `${inboxPrefix(leaf)}.>`,
        `cim.node.${leaf}.control.>`,
        `cim.node.${leaf}.commands.>`,
        statusSubject(leaf),
      ],
    },
  };
}

const READABLE_STREAMS = [STREAM.events, STREAM.outbox, STREAM.refused, STREAM.nodes, STREAM.control];

/**
 * What programs on the node may do: append events, ask and answer, and read the node's streams. They can neither
 * write the log nor speak as a daemon. `others` are the nodes whose replies pass through this server: a program that
 * listens to `_INBOX.>` does not hear them.
 */
export function appRights(node: string, others: readonly string[] = []): Rights {
  const api = "$JS.API";
  return {
    publish: {
      allow: [
        SUBJECT.allEvents,
        "cim.commands.>",
        "cim.queries.>",
        "cim.sagas.>",
        `${REPLAY_PREFIX}.>`,
        // Why an append was not answered: its own agent tells.
        statusSubject(node),
        `${api}.INFO`,
        `${api}.STREAM.NAMES`,
        `${api}.STREAM.LIST`,
        ...READABLE_STREAMS.flatMap((stream) => [
          `${api}.STREAM.INFO.${stream}`,
          `${api}.STREAM.MSG.GET.${stream}`,
          `${api}.DIRECT.GET.${stream}`,
          `${api}.DIRECT.GET.${stream}.>`,
          `${api}.CONSUMER.CREATE.${stream}`,
          `${api}.CONSUMER.CREATE.${stream}.>`,
          `${api}.CONSUMER.DURABLE.CREATE.${stream}.*`,
          `${api}.CONSUMER.NAMES.${stream}`,
          `${api}.CONSUMER.LIST.${stream}`,
          `${api}.CONSUMER.INFO.${stream}.*`,
          `${api}.CONSUMER.MSG.NEXT.${stream}.*`,
          `${api}.CONSUMER.DELETE.${stream}.*`,
        ]),
        "$JS.ACK.>",
        "$JS.FC.>",
      ],
      deny: [`${EVENTS_PREFIX}_cim.>`],
    },
    subscribe: {
      allow: [
        "_INBOX.>",
        SUBJECT.allEvents,
        "cim.commands.>",
        "cim.queries.>",
        "cim.sagas.>",
        `${REPLAY_PREFIX}.>`,
        `cim.node.${node}.commands.>`,
      ],
      deny: [node, ...others].map((name) => `${inboxPrefix(name)}.>`),
    },
    // Answers go to whoever asked, without a right to publish into inboxes.
    allow_responses: true,
  };
}
