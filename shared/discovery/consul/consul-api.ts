import { readFile } from "node:fs/promises";
import { askHttp, type HttpAnswer, inOneLine } from "../http-ask.ts";

/** Consul can't be asked, or refuses; the message is one line. */
export class ConsulUnusable extends Error {
  override readonly name = "ConsulUnusable";
}

export interface ConsulPlace {
  /** `host:port` or a URL. */
  readonly consulAddr: string;
  /** null: that of the agent itself. */
  readonly consulDatacenter: string | null;
  /** File with the ACL token; read anew for each question, so that it may be replaced. null: none. */
  readonly consulTokenFile: string | null;
}

export interface ConsulQuestion {
  readonly method?: "GET" | "PUT";
  /** As `/v1/…`. */
  readonly path: string;
  readonly query?: Readonly<Record<string, string>>;
  readonly body?: unknown;
  readonly timeoutMs: number;
  readonly signal: AbortSignal;
}

/** Asks a Consul agent. @throws ConsulUnusable, and the signal's reason when it ends the wait */
export async function askConsul(place: ConsulPlace, question: ConsulQuestion): Promise<HttpAnswer> {
  const { method = "GET", path, query = {}, body, timeoutMs, signal } = question;
  const { consulAddr, consulDatacenter, consulTokenFile } = place;
  const url = new URL(path, consulAddr.includes("://") ? consulAddr : `http://${consulAddr}`);
  for (const [key, value] of Object.entries(query)) url.searchParams.set(key, value);
  if (consulDatacenter !== null) url.searchParams.set("dc", consulDatacenter);
  const timeout = AbortSignal.timeout(timeoutMs);
  let answer: HttpAnswer;
  try {
    const token = consulTokenFile === null ? undefined : (await readFile(consulTokenFile, "utf8")).trim();
    answer = await askHttp({
      method,
      url,
      headers: token ? { "X-Consul-Token": token } : {},
      ...(body !== undefined && { body: JSON.stringify(body) }),
      signal: AbortSignal.any([signal, timeout]),
    });
  } catch (cause) {
    signal.throwIfAborted();
    const why = timeout.aborted ? `does not answer within ${timeoutMs / 1000} s` : inOneLine(cause);
    throw new ConsulUnusable(`Consul at ${consulAddr}: ${why}`, { cause });
  }
  if (answer.status !== 200) {
    throw new ConsulUnusable(`Consul at ${consulAddr} answers ${answer.status}: ${inOneLine(answer.body)}`);
  }
  return answer;
}
