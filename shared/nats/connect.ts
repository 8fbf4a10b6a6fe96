import { setTimeout as sleep } from "node:timers/promises";
import {
  type Authenticator,
  AuthorizationError,
  connect,
  type NatsConnection,
  nkeyAuthenticator,
  type Status,
  UserAuthenticationExpiredError,
} from "@nats-io/transport-node";
import { readSeedFile } from "./nkeys.ts";
import { Backoff, policyFor } from "./reconnect-policy.ts";
import { readPasswordFile } from "./secret-file.ts";

/** What is asked of a logger; pino's fits. */
export interface ConnectionLog {
  info(fields: Readonly<Record<string, unknown>>, text: string): void;
  warn(fields: Readonly<Record<string, unknown>>, text: string): void;
}

export interface ConnectNatsOptions {
  /** One server's URL, or several to choose from. */
  readonly url: string | readonly string[];
  /** Shown in the server's list of connections, e.g. `cim-agent leaf1`. */
  readonly name: string;
  /** The user's nkey seed: a file, or the seed itself. Without either the connection is anonymous. */
  readonly seedFile?: string;
  readonly seed?: string;
  /** A user with a password: in a file, or the password itself. */
  readonly user?: string;
  readonly passwordFile?: string;
  readonly pass?: string;
  /** Replies come here; a daemon may subscribe to nothing else (`inboxPrefix(node)`). */
  readonly inboxPrefix?: string;
  readonly log?: ConnectionLog;
  /** How long the first connection may take over all tries, in ms. Default 10 000. */
  readonly firstConnectTimeoutMs?: number;
  /** Ends waiting for the first connection. */
  readonly signal?: AbortSignal;
}

/** No connection came about. The message is one line: where, why, and how long it was tried. */
export class NatsUnreachable extends Error {
  override readonly name = "NatsUnreachable";
  readonly url: string;

  constructor(url: string, reason: string, options?: ErrorOptions) {
    super(`nats-server at ${url} cannot be used: ${reason}`, options);
    this.url = url;
  }
}

const DIAL_TIMEOUT_MS = 5_000;
/** A server that is silent for two of these is given up: it is on this machine or one hop away. */
const PING_INTERVAL_MS = 2_000;
const MAX_PINGS_OUT = 2;

/**
 * Connects, trying again until it works or `firstConnectTimeoutMs` has passed; from then on the connection comes
 * back by itself for as long as it is not closed, waiting by the one reconnect policy between tries.
 * @throws {NatsUnreachable} not in time, or the server refuses the user
 * @throws {SeedFileError} {PasswordFileError}
 */
export async function connectNats(options: ConnectNatsOptions): Promise<NatsConnection> {
  const servers = typeof options.url === "string" ? [options.url] : [...options.url];
  const shown = servers.map(withoutPassword).join(", ");
  const policy = policyFor(servers[0] ?? "");
  const authenticator = await authenticatorOf(options);
  const { passwordFile } = options;
  const pass =
    options.pass ?? (passwordFile === undefined ? undefined : await readPasswordFile(passwordFile));
  const timeoutMs = options.firstConnectTimeoutMs ?? 10_000;
  const startedMs = performance.now();
  const first = new Backoff(policy);
  for (;;) {
    if (options.signal?.aborted) throw new NatsUnreachable(shown, "stopped while connecting");
    const leftMs = timeoutMs - (performance.now() - startedMs);
    // The client asks for the delay several times per try, so it is fixed when a try begins.
    const again = new Backoff(policy);
    let delayMs = again.nextMs();
    let nc: NatsConnection;
    try {
      nc = await connect({
        servers,
        name: options.name,
        timeout: Math.max(50, Math.min(DIAL_TIMEOUT_MS, leftMs)),
        pingInterval: PING_INTERVAL_MS,
        maxPingOut: MAX_PINGS_OUT,
        maxReconnectAttempts: -1,
        // A server that is being reconfigured may refuse us for a moment.
        ignoreAuthErrorAbort: true,
        // Only what was configured: addresses that servers tell each other may lead around a proxy.
        ignoreClusterUpdates: true,
        noAsyncTraces: true,
        reconnectDelayHandler: () => delayMs,
        reconnectToServer: () => {
          delayMs = again.nextMs();
          return null;
        },
        ...(authenticator && { authenticator }),
        ...(options.inboxPrefix !== undefined && { inboxPrefix: options.inboxPrefix }),
        ...(options.user !== undefined && { user: options.user }),
        ...(pass !== undefined && { pass }),
      });
    } catch (error) {
      if (isRefusal(error)) throw new NatsUnreachable(shown, refusalText(options, error), { cause: error });
      const waitMs = first.nextMs();
      if (performance.now() - startedMs + waitMs >= timeoutMs) {
        throw new NatsUnreachable(shown, `${reasonOf(error)} (tried for ${timeoutMs} ms)`, { cause: error });
      }
      await sleep(waitMs, undefined, { ...(options.signal && { signal: options.signal }) }).catch(() => {});
      continue;
    }
    const connected = () => {
      again.reset();
      delayMs = again.nextMs();
    };
    connected();
    void watchStatus(nc, options, connected);
    return nc;
  }
}

async function watchStatus(
  nc: NatsConnection,
  options: ConnectNatsOptions,
  connected: () => void,
): Promise<void> {
  const { log, name } = options;
  for await (const status of nc.status()) {
    if (status.type === "reconnect") connected();
    if (log) logStatus(log, name, status);
  }
}

function logStatus(log: ConnectionLog, connection: string, status: Status): void {
  switch (status.type) {
    case "disconnect":
      log.warn({ connection, server: status.server }, "connection to nats-server lost");
      break;
    case "reconnect":
      log.info({ connection, server: status.server }, "connection to nats-server is back");
      break;
    case "staleConnection":
      log.warn({ connection }, "nats-server does not answer pings");
      break;
    case "slowConsumer":
      log.warn({ connection, subject: status.sub.getSubject(), pending: status.pending }, "slow consumer");
      break;
    case "error":
      log.warn({ connection, err: status.error }, "nats-server reports an error");
      break;
    case "ldm":
      log.warn({ connection, server: status.server }, "nats-server is going to stop");
      break;
  }
}

async function authenticatorOf(options: ConnectNatsOptions): Promise<Authenticator | undefined> {
  const seed =
    options.seed ??
    (options.seedFile === undefined ? undefined : (await readSeedFile(options.seedFile)).seed);
  return seed === undefined ? undefined : nkeyAuthenticator(new TextEncoder().encode(seed));
}

function isRefusal(error: unknown): boolean {
  return error instanceof AuthorizationError || error instanceof UserAuthenticationExpiredError;
}

function refusalText(options: ConnectNatsOptions, error: unknown): string {
  const who =
    options.seedFile !== undefined
      ? `the key in ${options.seedFile}`
      : options.seed !== undefined
        ? "the given key"
        : options.user !== undefined
          ? `user ${options.user}`
          : "clients without credentials";
  return `it refuses ${who} (${reasonOf(error)})`;
}

function reasonOf(error: unknown): string {
  if (!(error instanceof Error)) return String(error);
  return error.message.toLowerCase() || error.name;
}

function withoutPassword(url: string): string {
  return url.replace(/\/\/[^@/]*@/, "//");
}
