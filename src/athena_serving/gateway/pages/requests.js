// What the request of a session says beyond the form: text asked for as text, and what is true of samples.

import { membersOf, outputsOf, wishesOf } from "./api.js";

/** The request, with text asked for where nobody wants it otherwise: its pieces are then read as they come. */
export function readable(operation, request) {
  const parameter = { ...request.parameter };
  const texts = outputsOf(operation).filter(({ kind }) => kind === "text").map(({ key }) => key);
  for (const { path: [, key, name], node } of wishesOf(operation)) {
    if (!texts.includes(name) || !takesText(node)) continue;
    parameter[key] = { ...parameter[key], [name]: { format: "text", ...parameter[key]?.[name] } };
  }
  return Object.keys(parameter).length ? { ...request, parameter } : request;
}

function takesText(node) {
  const format = membersOf(node).find(([name]) => name === "format")?.[1];
  return format !== undefined && [undefined, "plain", "text"].includes(format.default) && (format.enum?.includes("text") ?? true);
}

/** The attributes that each output has unless the answer says otherwise: what is asked for, else the schema's defaults. */
export function usualOf(operation, { parameter }) {
  const defaults = (node) => membersOf(node).map(([name, one]) => [name, one.default]).filter(([, value]) => value !== undefined);
  const entries = wishesOf(operation).map(({ path: [, key, name], node }) =>
    [name, { ...Object.fromEntries(defaults(node)), ...parameter?.[key]?.[name] }]);
  return Object.fromEntries(entries);
}

/** Does a sound with these attributes go out as samples? */
export const isSampled = ({ encoding }) => encoding === undefined || encoding === "raw" || encoding === "pcm";

/** The block of a sound with what is true of its samples, as far as the schema knows such attributes. */
export function sampled(block, node) {
  const members = Object.fromEntries(membersOf(node));
  const fits = (name, value) => name in members && (members[name].enum?.includes(value) ?? true);
  const rate = block.sample_rate ?? members.sample_rate?.default ?? (fits("sample_rate", 16000) ? 16000 : members.sample_rate?.enum?.[0]);
  const encoding = block.encoding ?? (fits("encoding", "raw") ? "raw" : "pcm");
  const facts = { encoding, sample_rate: rate, channels: 1, bit_depth: 16 };
  return { ...block, ...Object.fromEntries(Object.entries(facts).filter(([name, value]) => fits(name, value))) };
}
