/** The address cannot be listened on. `message` is one line that says what to write instead. */
export class HttpListenError extends Error {
  override readonly name = "HttpListenError";
  /** Exit code for a process that stops because of it (wrong configuration). */
  readonly exitCode = 2;
  readonly listen: string;

  constructor(listen: string, problem: string, cause: unknown) {
    super(`http: ${listen} ${problem}; write another host:port in "http" (or CIM_HTTP), or null for none`, {
      cause,
    });
    this.listen = listen;
  }
}

/** What the system's refusal to listen means for whoever wrote the address. */
export function listenError(listen: string, cause: NodeJS.ErrnoException): HttpListenError {
  return new HttpListenError(
    listen,
    REASONS[cause.code ?? ""] ?? `cannot be listened on (${cause.message})`,
    cause,
  );
}

const REASONS: Readonly<Record<string, string>> = {
  EADDRINUSE: "is taken by another process",
  EACCES: "may not be listened on by this user",
  EADDRNOTAVAIL: "is not an address of this machine",
  ENOTFOUND: "has a host name that is not known",
};
