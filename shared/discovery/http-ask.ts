import { request as httpRequest, type IncomingMessage } from "node:http";
import { request as httpsRequest } from "node:https";

export interface HttpQuestion {
  readonly method?: "GET" | "PUT";
  readonly url: URL;
  readonly headers?: Readonly<Record<string, string>>;
  readonly body?: string;
  /** Certificates to trust instead of the system's, PEM. */
  readonly ca?: string;
  /** Ends the exchange, by its reason. */
  readonly signal: AbortSignal;
}

export interface HttpAnswer {
  readonly status: number;
  readonly headers: IncomingMessage["headers"];
  readonly body: string;
}

/** 10,000 nodes with all that a catalogue has on each are some 20 MB. */
const LARGEST_BODY = 64 * 1024 * 1024;

/**
 * One exchange on a connection of its own: questions here wait for minutes, and nothing is to stay open behind them.
 *
 * @throws Error when the server can't be reached, breaks off or sends without end; the signal's reason when it ends it
 */
export async function askHttp(question: HttpQuestion): Promise<HttpAnswer> {
  const response = await openHttp(question);
  const body = await readBody(response);
  return { status: response.statusCode ?? 0, headers: response.headers, body };
}

/** Reads an answer to its end. @throws Error when it breaks off or has none */
export async function readBody(response: IncomingMessage): Promise<string> {
  const chunks: Buffer[] = [];
  let size = 0;
  for await (const chunk of response as AsyncIterable<Buffer>) {
    size += chunk.length;
    if (size > LARGEST_BODY) {
      response.destroy();
      throw new Error(`answers with more than ${LARGEST_BODY} bytes`);
    }
    chunks.push(chunk);
  }
  return Buffer.concat(chunks).toString("utf8");
}

/** The same up to the head of the answer; who does not read the body to its end destroys it. */
export async function openHttp(question: HttpQuestion): Promise<IncomingMessage> {
  const { method = "GET", url, headers, body, ca, signal } = question;
  signal.throwIfAborted();
  const { promise, resolve, reject } = Promise.withResolvers<IncomingMessage>();
  const options = { method, headers: { ...headers }, signal, agent: false as const };
  const request =
    url.protocol === "https:"
      ? httpsRequest(url, { ...options, ...(ca !== undefined && { ca }) }, resolve)
      : httpRequest(url, options, resolve);
  request.on("error", (error) => reject(signal.aborted ? signal.reason : error));
  request.end(body);
  return await promise;
}

/** What went wrong, in one short line: an error's own, or the beginning of what the server said. */
export function inOneLine(error: unknown): string {
  const text =
    error instanceof Error ? error.message || (error as NodeJS.ErrnoException).code : String(error);
  return (text ?? "fails")
    .replace(/\p{Cc}+/gu, " ")
    .trim()
    .slice(0, 200);
}
