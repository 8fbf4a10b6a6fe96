import { type DeclaredModes, strongDomains } from "../consistency/contract/strong-domains.ts";
import { COMMAND_SUBJECT, commandMappings } from "../protocol/commands.ts";
import { commitMappings, NO_STRONG_DOMAINS, type StrongDomains } from "../protocol/commit.ts";
import type { ProgramUserName } from "../protocol/names.ts";
import { SUBJECT } from "../protocol/subjects.ts";
import { LINK_PATIENCE } from "./link-patience.ts";
import { type Commented, type ConfigBlock, Include, renderConfigText } from "./server-config-text.ts";
import { appRights, leafLinkRights, PROGRAM_RIGHTS } from "./server-rights.ts";

/** The part of a daemon's configuration that its server's configuration follows from. */
export interface ServerConfigInput {
  readonly node: string;
  readonly role: "hub" | "leaf";
  readonly nats: {
    /** The server listens on its host and port. */
    readonly url: string;
    readonly monitor: string | null;
    readonly storeDir: string;
    readonly leafListen: string | null;
    readonly hubDomain: string;
    readonly hubs: readonly string[];
    readonly anonymousApp: boolean;
    /** Users for programs: by public nkey, or by a password whose hash stands in `passwordFile(name)`. */
    readonly users?: readonly ProgramUser[];
    readonly maxPayload: number;
    readonly maxFile: number;
    readonly maxMemory: number;
    readonly syncInterval: string;
    /** `off`, `s2_auto` (by round trip, the default), `s2_fast`, `s2_better` or `s2_best`. */
    readonly leafCompression?: string;
  };
  readonly leaves: readonly { readonly name: string; readonly publicKey: string }[];
  readonly heartbeat: { readonly preset: "lan" | "wan" | "satellite" };
  /** Which domains are strong follows from these; left out: none. */
  readonly sync?: DeclaredModes["sync"];
  readonly contracts?: DeclaredModes["contracts"];
}

export interface ProgramUser {
  readonly name: ProgramUserName;
  readonly publicKey?: string | undefined;
  readonly passwordHashFile?: string | undefined;
}

/** Public keys of the daemon's two users. */
export interface ServerPublicKeys {
  readonly agent: string;
  readonly sys: string;
}

/** Beside the configuration; holds the seed of the link's user, which is nowhere else in it. */
export const LINK_REMOTE_FILE = "link-remote.conf";

/** Beside the configuration; holds the password's hash, which is nowhere else in it. */
export const passwordFile = (name: ProgramUserName): string => `user-${name}.conf`;

/** Accounts: all of cim's traffic, and the server's own events and requests. */
export const ACCOUNT = { cim: "CIM", sys: "SYS" } as const;

/**
 * The user of clients without credentials. Nobody has its seed: it was thrown away when this was written. An nkey
 * because a user without a password makes nats-server warn of plaintext passwords at each start.
 */
export const APP_PUBLIC_KEY = "UALERKY4XWUBKMKCCLLLTJHMNGX7DJX6UUQUUD5W24QQSERH3VQEN743";

/** Not LEAFNODE: a server that links as a program would not be judged as a leaf. */
const PROGRAM_CONNECTIONS = ["STANDARD", "WEBSOCKET"];
const SERVER_MIB = 1024 * 1024;
/** Of so many tries to reach a hub that is away, one is logged; each one would fill a disk in weeks. */
const TRIES_PER_REPORT = 1_000;
/** Readers and leaves of one log have a consumer each; the default of 1,000 per stream would end a large fleet. */
const MAX_CONSUMERS = 100_000;

/** The nats-server configuration of a node, as text. Pure; it names `LINK_REMOTE_FILE`, which a leaf needs beside it. */
export function renderServerConfig(input: ServerConfigInput, keys: ServerPublicKeys): string {
  const { node, nats } = input;
  const patience = LINK_PATIENCE[input.heartbeat.preset];
  const leafnodes = input.role === "hub" ? acceptingLinks(input) : dialingHubs(input);
  const text = renderConfigText({
    server_name: node,
    listen: listenOf(nats.url),
    http: nats.monitor ?? undefined,
    max_payload: nats.maxPayload,
    // Room for a few of the largest messages before a reader counts as slow.
    max_pending: Math.max(64 * SERVER_MIB, 4 * nats.maxPayload),
    ping_interval: patience.pingInterval,
    ping_max: patience.pingMax,
    write_deadline: "10s",
    connect_error_reports: TRIES_PER_REPORT,
    reconnect_error_reports: TRIES_PER_REPORT,
    jetstream: {
      domain: node,
      store_dir: nats.storeDir,
      max_file_store: nats.maxFile,
      max_memory_store: nats.maxMemory,
      sync_interval: nats.syncInterval,
      limits: { default_max_consumers: MAX_CONSUMERS },
    },
    accounts: {
      [ACCOUNT.cim]: {
        jetstream: { max_file: nats.maxFile, max_mem: nats.maxMemory },
        mappings: withQuotedKeys({
          ...commandMappings(node, input.role),
          ...commitMappings(node, strongIn(input)),
        }),
        users: cimUsers(input, keys),
      },
      [ACCOUNT.sys]: { users: [daemon("the daemon's view of this server", keys.sys)] },
    },
    system_account: ACCOUNT.sys,
    no_auth_user: nats.anonymousApp ? APP_PUBLIC_KEY : undefined,
    leafnodes,
  });
  return `# Generated from the configuration of ${node}; a change made here is lost.\n${text}`;
}

/**
 * The text of `LINK_REMOTE_FILE`. A secret.
 * @param hubs to dial in the place of those in the configuration that includes it, where the agent has found its hub
 */
export function renderLinkRemote(linkSeed: string, hubs?: readonly string[]): string {
  return renderConfigText({ nkey: linkSeed, urls: hubs });
}

/** The text of a `passwordFile`. Not for everybody: weak passwords can be guessed from their hash. */
export function renderPassword(bcryptHash: string): string {
  return renderConfigText({ password: bcryptHash });
}

function strongIn({ sync, contracts = {} }: ServerConfigInput): StrongDomains {
  return sync ? strongDomains({ sync, contracts }) : NO_STRONG_DOMAINS;
}

function cimUsers(input: ServerConfigInput, keys: ServerPublicKeys): Commented[] {
  const { node, nats, role } = input;
  const leaves = role === "hub" ? input.leaves : [];
  const users = [daemon("the daemon", keys.agent)];
  const strong = strongIn(input);
  const leafNames = leaves.map((leaf) => leaf.name);
  if (nats.anonymousApp) {
    const permissions = appRights(node, role, leafNames, strong);
    users.push(user("app: clients without credentials", APP_PUBLIC_KEY, "STANDARD", permissions));
  }
  for (const { name, publicKey } of nats.users ?? []) {
    const who =
      publicKey === undefined
        ? { user: name, password: new Include(passwordFile(name)) }
        : { nkey: publicKey };
    const permissions = PROGRAM_RIGHTS[name](node, role, leafNames, strong);
    users.push({
      comment: name,
      block: { ...who, allowed_connection_types: PROGRAM_CONNECTIONS, permissions },
    });
  }
  for (const leaf of leaves) {
    const permissions = leafLinkRights(leaf.name, nats.hubDomain, strong);
    users.push(user(`link of ${leaf.name}`, leaf.publicKey, "LEAFNODE", permissions));
  }
  return users;
}

function daemon(comment: string, publicKey: string): Commented {
  return user(comment, publicKey, "STANDARD");
}

function user(comment: string, nkey: string, connection: string, permissions?: ConfigBlock): Commented {
  return { comment, block: { nkey, allowed_connection_types: [connection], permissions } };
}

function acceptingLinks({ nats, heartbeat }: ServerConfigInput): ConfigBlock | undefined {
  if (nats.leafListen === null) return undefined;
  return {
    listen: nats.leafListen,
    authorization: { timeout: LINK_PATIENCE[heartbeat.preset].authTimeout },
    compression: nats.leafCompression ?? "s2_auto",
    // A leaf dials what it was given; other addresses of the hub may not be reachable from where it is.
    no_advertise: true,
  };
}

function dialingHubs({ nats, heartbeat }: ServerConfigInput): ConfigBlock | undefined {
  if (nats.hubs.length === 0) return undefined;
  const patience = LINK_PATIENCE[heartbeat.preset];
  // Each node has streams of its own on these subjects: let through, one publish is stored twice.
  const localSubjects = [SUBJECT.allEvents, SUBJECT.allLog, SUBJECT.readers, COMMAND_SUBJECT.remembered];
  return {
    reconnect: patience.relinkInterval,
    remotes: [
      {
        comment: "the hub, as the user of this node's link",
        block: {
          // Before the file of the link: it may have others, and the later count.
          urls: nats.hubs,
          no_randomize: true,
          ignore_discovered_servers: true,
          account: ACCOUNT.cim,
          link: new Include(LINK_REMOTE_FILE),
          deny_imports: localSubjects,
          deny_exports: localSubjects,
          dial_timeout: patience.dialTimeout,
          first_info_timeout: patience.firstInfoTimeout,
          compression: nats.leafCompression ?? "s2_auto",
        },
      },
    ],
  };
}

/** Subjects as keys: unquoted, one that begins with a wildcard would be something else. */
function withQuotedKeys(block: ConfigBlock): ConfigBlock {
  return Object.fromEntries(Object.entries(block).map(([key, value]) => [`"${key}"`, value]));
}

/** `host:port` of a URL; port 4222 where it has none. */
function listenOf(url: string): string {
  const { hostname, port } = new URL(url);
  return `${hostname}:${port === "" ? "4222" : port}`;
}
