import ModelCore

/// What a pickle would make Python call. Reading needs no such look, for nothing is called here; writing does, so that
/// a payload is not passed on.
extension PickleGraph {
  /// The first thing among the objects that the root reaches that Python would call, or could later, and that is not
  /// known to make data and nothing else; in words.
  func unknownEffect() -> String? {
    var seen = [Bool](repeating: false, count: nodes.count)
    var allowed: Set<Use> = []
    var pending = [root]
    while let reference = pending.popLast() {
      guard !seen[reference] else { continue }
      seen[reference] = true
      switch nodes[reference] {
      case .global(let name): if PickleVerdict(name) == .dangerous { return name.description }
      case .tuple(let items), .list(let items), .set(let items), .frozenSet(let items): pending += items
      case .dict(let entries): for entry in entries { pending += [entry.key, entry.value] }
      case .call(let index):
        let call = calls[index]
        if let effect = unknownEffect(of: call, &allowed) { return effect }
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

  /// A callable and how it is called, for which there is one verdict.
  private struct Use: Hashable {
    let callable: Reference
    let isNew: Bool
    let hasArguments: Bool
  }

  /// - Parameter allowed: what was found to be known so far.
  private func unknownEffect(of call: Call, _ allowed: inout Set<Use>) -> String? {
    if let method = smuggledMethod(call) { return "the \(method) that an object of the file brings along" }
    guard let name = className(call.callable) else { return "what another call returned" }
    if isMethodLookup(call) { return nil }
    let given = tuple(call.arguments) ?? []
    let isNew = if case .reduce = call.kind { false } else { true }
    let use = Use(callable: call.callable, isNew: isNew, hasArguments: !given.isEmpty)
    if !allowed.contains(use) {
      guard PickleVerdict.mayCall(name, isNew: isNew, hasArguments: !given.isEmpty) else { return name.description }
      allowed.insert(use)
    }
    // These call, or make an object of, what they are given.
    if ["copyreg", "copy_reg"].contains(name.module) {
      for case let given? in given.prefix(2).map(className)
      where !PickleVerdict.mayCall(given, isNew: true, hasArguments: true) { return given.description }
    }
    if name.module == "torch._tensor" {
      guard let function = given.first.flatMap(className), function.module == "torch._utils" else {
        return given.first.flatMap(className)?.description ?? "what another call returned"
      }
    }
    return nil
  }

  /// A method that an object's own state puts in the place of its class's, and that Python calls while it fills the
  /// object.
  func smuggledMethod(_ call: Call) -> String? {
    guard !call.states.isEmpty else { return nil }
    let called = ["__setstate__"] + (call.items.isEmpty ? [] : ["append", "extend", "add"])
    for state in call.states {
      for part in [state] + (tuple(state) ?? []) {
        guard let entries = entries(part) else { continue }
        if let method = entries.lazy.compactMap({ text($0.key) }).first(where: called.contains) { return method }
      }
    }
    return nil
  }

  /// Whether a call is `getattr(object, 'method')` of an object or class of the file: how Python pickles methods and
  /// nested functions, such as YOLO's `forward_fuse`.
  func isMethodLookup(_ call: Call) -> Bool {
    guard let name = className(call.callable), ["builtins", "__builtin__"].contains(name.module),
      name.name == "getattr",
      let arguments = tuple(call.arguments), arguments.count == 2, let method = text(arguments[1]),
      objectClass(arguments[0]) != nil || className(arguments[0]) != nil
    else { return false }
    return !PickleVerdict.hasDangerousPart(method)
  }
}
