// An Express app as it was before Pawl came.
import { Pawl } from '@pawl/core';
import { pawlExpress } from '@pawl/express';
import express, { type Express, type Request, type RequestHandler } from 'express';

export const app: Express = express();

export function userOf(req: Request): { id: string; owns(workflowID: string): boolean } {
  const id = req.get('x-user') ?? '';
  return { id, owns: (workflowID) => workflowID.startsWith(id) };
}

let orders = 0;
export const createOrder: RequestHandler = (_req, res) => {
  orders += 1;
  res.status(201).json({ order: orders });
};

export const http = pawlExpress(new Pawl(), { scope: 'global' });
