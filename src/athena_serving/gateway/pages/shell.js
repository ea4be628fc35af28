// What the pages have in common: language, theme, what is said aloud.

import { redrawAll } from "./nodes.js";
import { choose, current, own } from "./words.js";

export const place = (id) => document.getElementById(id);

/** Tell it to who listens to the page instead of looking at it. */
export function announce(words) {
  place("said").textContent = words;
}

/** The switches for language and theme, as chosen before. `onLanguage` runs after each change. */
export function startTools(onLanguage = () => {}) {
  choose(recall("language") ?? current());
  if (recall("theme")) setTheme(recall("theme"));
  place("language").addEventListener("click", () => {
    choose(current() === "zh" ? "en" : "zh");
    remember("language", current());
    showTools();
    redrawAll();
    onLanguage();
  });
  place("theme").addEventListener("click", () => {
    setTheme(isDark() ? "light" : "dark");
    remember("theme", document.documentElement.dataset.theme);
    showTools();
  });
  showTools();
}

function showTools() {
  place("language").textContent = current() === "zh" ? "English" : "中文";
  place("theme").textContent = own(isDark() ? "Light" : "Dark");
}

const systemTheme = () => (matchMedia("(prefers-color-scheme: dark)").matches ? "dark" : "light");
const isDark = () => (document.documentElement.dataset.theme ?? systemTheme()) === "dark";

function setTheme(name) {
  document.documentElement.dataset.theme = name;
}

function remember(name, value) {
  try {
    localStorage.setItem(`athena-${name}`, value);
  } catch {
    // a browser that keeps nothing: the choice holds as long as the page does
  }
}

function recall(name) {
  try {
    return localStorage.getItem(`athena-${name}`);
  } catch {
    return null;
  }
}
