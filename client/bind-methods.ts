// bindMethods: lets an object's methods be passed and destructured, as in `const { send } = session`.

/** Binds the methods of a class to one of its instances. They stay out of the instance's enumerable properties. */
export function bindMethods<T extends object>(instance: T, prototype: T): void {
  for (const [name, { value }] of Object.entries(Object.getOwnPropertyDescriptors(prototype))) {
    if (name === 'constructor' || typeof value !== 'function') continue
    // By name, because a subclass may override the method.
    const method = instance[name as keyof T] as (...args: unknown[]) => unknown
    Object.defineProperty(instance, name, { value: method.bind(instance), configurable: true, writable: true })
  }
}
