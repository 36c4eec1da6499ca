// Small things that every part of the page uses: making elements, money, times.

export function element(name, attributes, ...children) {
  const made = document.createElement(name);
  for (const [key, value] of Object.entries(attributes)) made.setAttribute(key, value);
  made.append(...children);
  return made;
}

export function byID(id) {
  return document.getElementById(id);
}

export function money(cents) {
  return `$${(cents / 100).toFixed(2)}`;
}

export function time(instant) {
  return new Date(instant).toLocaleTimeString([], {
    hour: '2-digit',
    minute: '2-digit',
    second: '2-digit',
    hour12: false,
  });
}
