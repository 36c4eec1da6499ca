// Older versions under names of their own (test/package.json). What the tests use of them has the newest types.
declare module 'express4' {
  export { default } from 'express';
}
declare module 'koa2' {
  export { default } from 'koa';
}
declare module 'koa-router12' {
  export { default } from '@koa/router';
}
