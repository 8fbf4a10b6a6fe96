import { usage } from "./failure.ts";

/** A whole number of an option. @throws CommandFailure one line that says what to write */
export function wholeNumber(text: string, option: string, least = 1): number {
  const value = Number(text);
  if (/^\d+$/.test(text.trim()) && Number.isSafeInteger(value) && value >= least) return value;
  throw usage(`${option}: "${text}" is not a whole number from ${least} on`);
}

/** A number above zero. @throws CommandFailure one line that says what to write */
export function positiveNumber(text: string, option: string, example: string): number {
  const value = Number(text);
  if (text.trim() !== "" && Number.isFinite(value) && value > 0) return value;
  throw usage(`${option}: "${text}" is not a number above 0; write one as ${example}`);
}
