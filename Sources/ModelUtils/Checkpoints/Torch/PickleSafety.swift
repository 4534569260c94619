import ModelCore

/// What a pickle would make Python call. Reading needs no such look, for nothing is called here; writing does, so that a payload is
/// not passed on.
extension PickleGraph {
  private static let dangerousModules: Set<Substring> = [
    "os", "posix", "nt", "subprocess", "commands", "sys", "runpy", "socket", "pty", "shutil", "importlib", "imp",
    "ctypes", "code",
    "codeop", "pdb", "bdb", "webbrowser", "asyncio", "multiprocessing", "pickle", "_pickle", "marshal", "timeit",
    "cProfile",
    "profile", "trace", "pip", "requests", "http", "httplib", "urllib", "urllib2", "aiohttp", "ensurepip", "idlelib",
    "venv",
  ]
  private static let dangerousBuiltins: Set<String> = [
    "eval", "exec", "execfile", "compile", "__import__", "open", "file", "getattr", "setattr", "delattr", "globals",
    "locals",
    "vars", "input", "raw_input", "breakpoint", "apply", "map", "filter", "reduce",
  ]

  /// The first function among the objects that the root reaches which runs commands, code or the like.
  func dangerousFunction() -> ClassName? {
    var seen = [Bool](repeating: false, count: nodes.count)
    var pending = [root]
    while let reference = pending.popLast() {
      guard !seen[reference] else { continue }
      seen[reference] = true
      switch nodes[reference] {
      case .global(let name): if Self.isDangerous(name) { return name }
      case .tuple(let items), .list(let items), .set(let items), .frozenSet(let items): pending += items
      case .dict(let entries): for entry in entries { pending += [entry.key, entry.value] }
      case .call(let index):
        let call = calls[index]
        if !isBoundMethod(call) { pending.append(call.callable) }
        if case .newObjectWithKeywords(let keywords) = call.kind { pending.append(keywords) }
        pending.append(call.arguments)
        pending += call.items + call.states
        for entry in call.entries { pending += [entry.key, entry.value] }
      default: break
      }
    }
    return nil
  }

  private static func isDangerous(_ name: ClassName) -> Bool {
    let top = name.module.split(separator: ".").first ?? ""
    if top == "builtins" || top == "__builtin__" { return dangerousBuiltins.contains(name.name) }
    if name.module == "operator" || name.module == "_operator" {
      return ["attrgetter", "methodcaller"].contains(name.name)
    }
    return dangerousModules.contains(top)
  }

  /// Whether a call is `getattr(object, 'method')` of an object of the file: how Python pickles a method, such as YOLO's `forward_fuse`.
  private func isBoundMethod(_ call: Call) -> Bool {
    guard let name = className(call.callable), ["builtins", "__builtin__"].contains(name.module),
      name.name == "getattr",
      let arguments = tuple(call.arguments), arguments.count == 2, objectClass(arguments[0]) != nil,
      let method = text(arguments[1])
    else { return false }
    return !method.hasPrefix("_")
  }
}
