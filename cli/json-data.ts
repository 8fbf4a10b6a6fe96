import { text as readText } from "node:stream/consumers";
import { errorText } from "../shared/protocol/error-text.ts";
import { usage } from "./failure.ts";

/** The value of `--data`: JSON, or `-` for JSON on stdin. @throws CommandFailure when it is not JSON */
export async function readData(given: string | undefined): Promise<unknown> {
  if (given === undefined) return undefined;
  const text = given === "-" ? await readText(process.stdin) : given;
  try {
    return JSON.parse(text) as unknown;
  } catch (cause) {
    const where = given === "-" ? "what came on stdin" : "it";
    const why = errorText(cause);
    throw usage(
      `--data: ${where} is not JSON (${why}); write as '{"name":"Ada"}', or - to read it from stdin`,
    );
  }
}
