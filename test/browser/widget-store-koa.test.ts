import { describeWidgetStore } from './widget-store.ts';

describeWidgetStore({ server: 'koa', database: 'embedded', offset: 1, nth: 2 });
