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
  /// Modules and functions that other modules import, so that they can be reached as attributes of those.
  private static let dangerousNames: Set<Substring> = [
    "os", "posix", "nt", "subprocess", "sys", "runpy", "socket", "pty", "shutil", "importlib", "ctypes", "builtins",
    "eval", "exec",
    "system", "popen", "spawn",
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

  private static func isDangerous(_ name: ClassName) -> Bool {
    if hasDangerousPart(name.name) { return true }
    let top = name.module.split(separator: ".").first ?? ""
    if top == "builtins" || top == "__builtin__" { return dangerousBuiltins.contains(name.name) }
    if name.module == "operator" || name.module == "_operator" {
      return ["attrgetter", "methodcaller"].contains(name.name)
    }
    return dangerousModules.contains(top)
  }

  private static func hasDangerousPart(_ name: String) -> Bool {
    name.split(separator: ".").contains { dangerousNames.contains($0) || $0.hasPrefix("__") }
  }

  /// Whether a call is `getattr(object, 'method')` of an object or class of the file: how Python pickles methods and nested functions,
  /// such as YOLO's `forward_fuse`.
  private func isMethodLookup(_ call: Call) -> Bool {
    guard let name = className(call.callable), ["builtins", "__builtin__"].contains(name.module),
      name.name == "getattr",
      let arguments = tuple(call.arguments), arguments.count == 2, let method = text(arguments[1]),
      objectClass(arguments[0]) != nil || className(arguments[0]) != nil
    else { return false }
    return !Self.hasDangerousPart(method)
  }
}
