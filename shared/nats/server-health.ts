import { statfs } from "node:fs/promises";
import type { NatsConnection } from "@nats-io/transport-node";
import { errorText } from "../protocol/error-text.ts";
import { serverId } from "./server-control.ts";
import { systemRequest } from "./system-request.ts";

export type ServerHealth =
  | { readonly kind: "healthy" }
  /**
   * JetStream could not write, because the disk is full. It answers no publish any more and takes none up again by
   * itself: free space, then restart the server. What it acknowledged is there.
   */
  | { readonly kind: "disk-full"; readonly detail: string }
  /** Not able to serve, in its own words: starting up, a write error, a stream that cannot be recovered. */
  | { readonly kind: "unhealthy"; readonly detail: string }
  /** No answer: the server or the connection to it is gone, or hangs. */
  | { readonly kind: "unreachable"; readonly detail: string };

/** nats-server's `HealthStatus` (server/monitor.go), the parts that are used. */
interface Healthz {
  readonly status: string;
  readonly error?: string;
}

/**
 * How a server says it is.
 * @param nc a connection to it in its system account
 */
export async function serverHealth(nc: NatsConnection, timeoutMs = 2_000): Promise<ServerHealth> {
  try {
    return judgeHealth(await ask<Healthz>(nc, "HEALTHZ", timeoutMs));
  } catch (error) {
    return { kind: "unreachable", detail: errorText(error) };
  }
}

/** Reads a server's answer. Pure. */
export function judgeHealth(healthz: Healthz): ServerHealth {
  if (healthz.status === "ok") return { kind: "healthy" };
  const detail = healthz.error ?? healthz.status;
  // Go's words for ENOSPC and EDQUOT.
  const full = /no space left on device|disk quota exceeded/i.test(detail);
  return { kind: full ? "disk-full" : "unhealthy", detail };
}

/** What JetStream uses of what it may, over all accounts. */
export interface StorageUse {
  readonly fileBytes: number;
  /** `max_file_store`; the disk may be smaller. */
  readonly fileLimitBytes: number;
  readonly memoryBytes: number;
  readonly memoryLimitBytes: number;
  readonly streams: number;
  readonly consumers: number;
  readonly messages: number;
}

/** nats-server's `JSInfo` (server/monitor.go), the parts that are used. */
interface Jsz {
  readonly storage: number;
  readonly memory: number;
  readonly streams: number;
  readonly consumers: number;
  readonly messages: number;
  readonly config: { readonly max_storage: number; readonly max_memory: number };
}

/**
 * @param nc a connection to the server in its system account
 * @throws {SystemRequestFailed}, or the client's error when nothing answers in time
 */
export async function storageUse(nc: NatsConnection, timeoutMs = 2_000): Promise<StorageUse> {
  const jsz = await ask<Jsz>(nc, "JSZ", timeoutMs);
  return {
    fileBytes: jsz.storage,
    fileLimitBytes: jsz.config.max_storage,
    memoryBytes: jsz.memory,
    memoryLimitBytes: jsz.config.max_memory,
    streams: jsz.streams,
    consumers: jsz.consumers,
    messages: jsz.messages,
  };
}

export interface DiskSpace {
  /** What an ordinary user may still write. */
  readonly freeBytes: number;
  readonly totalBytes: number;
}

/** Space on the disk that holds `path`, as `nats.storeDir`. @throws file system errors */
export async function diskSpace(path: string): Promise<DiskSpace> {
  const { bavail, blocks, bsize } = await statfs(path);
  return { freeBytes: bavail * bsize, totalBytes: blocks * bsize };
}

async function ask<T>(nc: NatsConnection, what: "HEALTHZ" | "JSZ", timeoutMs: number): Promise<T> {
  return await systemRequest<T>(nc, `$SYS.REQ.SERVER.${serverId(nc)}.${what}`, undefined, timeoutMs);
}
