/*
 * Stands in for modules that only run on Node, in bundles that are not built with the condition "node": see `imports`
 * in package.json. It is empty. The code that imports such a module checks what it got.
 */
export {};
