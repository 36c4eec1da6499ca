// Login and printing press of the page about status endpoints.
import { Pawl } from '@pawl/core';
import type { Request, RequestHandler } from 'express';
import type { Context } from 'koa';

const cookie = (header: string | undefined): string => /(?:^|; )user=(\w+)/.exec(header ?? '')?.[1] ?? '';

export const userOf = (req: Request): string => cookie(req.headers.cookie);
export const userIn = (ctx: Context): string => cookie(ctx.headers.cookie);

export const requireLogin: RequestHandler = (req, res, next) => {
  if (userOf(req) === '') res.status(401).json({ error: 'Who are you?' });
  else next();
};

/** Lets the next pages be printed. */
export const press = { go: (): void => {}, ready: Promise.resolve() };

export async function render(page: number): Promise<string> {
  if (page > 1) await press.ready;
  return `page ${page}`;
}

export const pawl = new Pawl();
