import ModelCore

/// What a pickle would make Python call. Reading needs no such look, for nothing is called here; writing does, so that a payload is
/// not passed on.
extension PickleGraph {
  /// The first function among the objects that the root reaches which runs commands, code or the like.
  func dangerousFunction() -> ClassName? {
    var seen = [Bool](repeating: false, count: nodes.count)
    var pending = [root]
    while let reference = pending.popLast() {
      guard !seen[reference] else { continue }
      seen[reference] = true
      switch nodes[reference] {
      case .global(let name): if PickleVerdict(name) == .dangerous { return name }
      case .tuple(let items), .list(let items), .set(let items), .frozenSet(let items): pending += items
      case .dict(let entries): for entry in entries { pending += [entry.key, entry.value] }
      case .call(let index):
        let call = calls[index]
        if !isMethodLookup(call) { pending.append(call.callable) }
        if case .newObjectWithKeywords(let keywords) = call.kind { pending.append(keywords) }
        pending.append(call.arguments)
        pending += call.items + call.states
        for entry in call.entries { pending += [entry.key, entry.value] }
      default: break
      }
    }
    return nil
  }

  /// Whether a call is `getattr(object, 'method')` of an object or class of the file: how Python pickles methods and nested functions,
  /// such as YOLO's `forward_fuse`.
  func isMethodLookup(_ call: Call) -> Bool {
    guard let name = className(call.callable), ["builtins", "__builtin__"].contains(name.module),
      name.name == "getattr",
      let arguments = tuple(call.arguments), arguments.count == 2, let method = text(arguments[1]),
      objectClass(arguments[0]) != nil || className(arguments[0]) != nil
    else { return false }
    return !PickleVerdict.hasDangerousPart(method)
  }
}
