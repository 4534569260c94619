/// Reads torch.fx's code from its tokens.
struct TracedCodeReader {
  private let tokens: [TracedCodeToken]
  private var place = 0
  private var depth = 0
  private var links = 0

  /// Deeper expressions, and statements of more operators, attributes and calls, are none that torch.fx writes.
  private static let depthLimit = 64
  private static let linkLimit = 512

  init(_ source: String) throws { tokens = try TracedCodeToken.all(in: source) }

  // MARK: Imports

  /// `import a.b as c`, `from a.b import c as d` and `NoneType = type(None)`.
  mutating func readImports(into code: inout TracedCode) throws {
    while !isAtEnd {
      switch next {
      case .end: skip()
      case .name("import"):
        skip()
        let module = try dottedName()
        let top = module.prefix { $0 != "." }
        let alias = takes(.name("as")) ? try name() : nil
        code.imports[alias ?? String(top)] = ClassName(alias == nil ? String(top) : module, "")
      case .name("from"):
        skip()
        let module = try dottedName()
        try expect(.name("import"))
        let imported = try name()
        code.imports[takes(.name("as")) ? try name() : imported] = ClassName(module, imported)
      case .name("NoneType"):
        skip()
        try expect(.sign("="))
        guard try expression() == .call(.name("type"), [.init(name: nil, value: .none)]) else { throw refusal }
        code.imports["NoneType"] = ClassName("types", "NoneType")
      default: throw refusal
      }
      try expect(.end)
    }
  }

  // MARK: The method

  mutating func readForward(into code: inout TracedCode) throws {
    let marker = TracedCode.Expression.attribute(
      .attribute(.attribute(.name("torch"), "fx"), "_symbolic_trace"), "wrap")
    while !isAtEnd, next != .name("def") {
      if takes(.end) { continue }
      // Marks a function that tracing does not look into.
      guard case .call(marker, let given) = try expression(), given.count == 1, case .string = given[0].value else {
        throw refusal
      }
      try expect(.end)
    }
    try expect(.name("def"))
    try expect(.name("forward"))
    try expect(.sign("("))
    try expect(.name("self"))
    while takes(.sign(",")) {
      if next == .sign(")") { break }
      let name = try name()
      if takes(.sign(":")) { code.annotations.append(try expression()) }
      code.parameters.append((name, takes(.sign("=")) ? try expression() : nil))
    }
    try expect(.sign(")"))
    if takes(.sign("->")) { code.annotations.append(try expression()) }
    try expect(.sign(":"))
    while !isAtEnd {
      if takes(.end) { continue }
      if case .giveBack? = code.statements.last { throw refusal }
      code.statements.append(try statement(&code.annotations))
      try expect(.end)
    }
    guard case .giveBack? = code.statements.last else { throw refusal }
  }

  private mutating func statement(_ annotations: inout [TracedCode.Expression]) throws -> TracedCode.Statement {
    links = 0
    if takes(.name("return")) { return .giveBack(try openTuple()) }
    var names: [String] = []
    while case .name(let name) = next, [.sign("="), .sign(":")].contains(following) {
      guard name != "self", name != "getattr", name != "slice" else { throw refusal }
      skip()
      if takes(.sign(":")) { annotations.append(try expression()) }
      try expect(.sign("="))
      names.append(name)
    }
    return .assign(names, try openTuple())
  }

  // MARK: Expressions

  private mutating func openTuple() throws -> TracedCode.Expression {
    let first = try expression()
    guard next == .sign(",") else { return first }
    var items = [first]
    while takes(.sign(",")), next != .end { items.append(try expression()) }
    return .tuple(items)
  }

  /// Operators by how tightly they bind; those of comparison do not chain.
  private static let levels = [
    ["==", "!=", "<", "<=", ">", ">="], ["|"], ["^"], ["&"], ["<<", ">>"], ["+", "-"], ["*", "/", "//", "%", "@"],
  ]

  private mutating func expression() throws -> TracedCode.Expression {
    depth += 1
    defer { depth -= 1 }
    guard depth <= Self.depthLimit else { throw refusal }
    return try binary(level: 0)
  }

  private mutating func binary(level: Int) throws -> TracedCode.Expression {
    guard level < Self.levels.count else { return try unary() }
    var left = try binary(level: level + 1)
    while case .sign(let sign) = next, Self.levels[level].contains(sign) {
      try link()
      skip()
      left = .binary(sign, left, try binary(level: level + 1))
      if level == 0 { break }
    }
    return left
  }

  private mutating func unary() throws -> TracedCode.Expression {
    if case .sign(let sign) = next, ["-", "+", "~"].contains(sign) {
      try link()
      skip()
      return .unary(sign, try unary())
    }
    let base = try postfix()
    guard takes(.sign("**")) else { return base }
    try link()
    return .binary("**", base, try unary())
  }

  /// Counts what makes an expression one deeper.
  private mutating func link() throws {
    links += 1
    guard links <= Self.linkLimit else { throw refusal }
  }

  private mutating func postfix() throws -> TracedCode.Expression {
    var value = try atom()
    while [.sign("."), .sign("("), .sign("[")].contains(next) {
      try link()
      if takes(.sign(".")) {
        value = .attribute(value, try name())
      } else if takes(.sign("(")) {
        value = try call(value)
      } else {
        skip()
        var items = [try subscriptItem()]
        var isTuple = false
        while takes(.sign(",")) {
          isTuple = true
          if next != .sign("]") { items.append(try subscriptItem()) }
        }
        try expect(.sign("]"))
        value = .item(value, isTuple ? .tuple(items) : items[0])
      }
    }
    return value
  }

  private mutating func call(_ callee: TracedCode.Expression) throws -> TracedCode.Expression {
    var arguments: [TracedCode.Argument] = []
    while next != .sign(")") {
      var name: String?
      if case .name(let text) = next, following == .sign("=") {
        name = text
        skip()
        skip()
      } else if arguments.last?.name != nil {
        throw refusal
      }
      arguments.append(.init(name: name, value: try expression()))
      guard takes(.sign(",")) else { break }
    }
    try expect(.sign(")"))
    guard callee == .name("slice") else { return .call(callee, arguments) }
    guard arguments.count == 3, arguments.allSatisfy({ $0.name == nil }) else { throw refusal }
    return .slice(arguments[0].value, arguments[1].value, arguments[2].value)
  }

  private mutating func subscriptItem() throws -> TracedCode.Expression {
    var parts: [TracedCode.Expression] = [.none, .none, .none]
    var index = 0
    while true {
      if ![.sign(":"), .sign(","), .sign("]")].contains(next) { parts[index] = try expression() }
      guard takes(.sign(":")) else { break }
      index += 1
      guard index < 3 else { throw refusal }
    }
    if index == 0, parts[0] == .none, [.sign(","), .sign("]")].contains(next), !wasName("None") { throw refusal }
    return index == 0 ? parts[0] : .slice(parts[0], parts[1], parts[2])
  }

  private mutating func atom() throws -> TracedCode.Expression {
    switch next {
    case .int(let value):
      skip()
      return .int(value)
    case .double(let value):
      skip()
      return .double(value)
    case .string(let text):
      skip()
      return .string(text)
    case .name(let name):
      skip()
      switch name {
      case "None": return .none
      case "True", "False": return .bool(name == "True")
      case "Ellipsis": return .ellipsis
      case "inf": return .double(.infinity)
      case "nan": return .double(.nan)
      case _ where Self.keywords.contains(name): throw refusal
      default: return .name(name)
      }
    case .sign("{"):
      skip()
      var (keys, values): ([TracedCode.Expression], [TracedCode.Expression]) = ([], [])
      while next != .sign("}") {
        keys.append(try expression())
        try expect(.sign(":"))
        values.append(try expression())
        guard takes(.sign(",")) else { break }
      }
      try expect(.sign("}"))
      return .dict(keys, values)
    case .sign("("), .sign("["):
      let isList = takes(.sign("["))
      if !isList { skip() }
      let end = TracedCodeToken.Kind.sign(isList ? "]" : ")")
      var items: [TracedCode.Expression] = []
      var isTuple = next == end
      while next != end {
        items.append(try expression())
        guard takes(.sign(",")) else { break }
        isTuple = true
      }
      try expect(end)
      return isList ? .list(items) : isTuple ? .tuple(items) : items[0]
    default: throw refusal
    }
  }

  /// Words that would make it another kind of code.
  private static let keywords: Set<String> = [
    "and", "as", "assert", "async", "await", "break", "class", "continue", "def", "del", "elif", "else", "except",
    "finally", "for", "from", "global", "if", "import", "in", "is", "lambda", "nonlocal", "not", "or", "pass", "raise",
    "return", "try", "while", "with", "yield",
  ]

  // MARK: Tokens

  private var isAtEnd: Bool { place >= tokens.count }
  private var next: TracedCodeToken.Kind { place < tokens.count ? tokens[place].kind : .end }
  private var following: TracedCodeToken.Kind { place + 1 < tokens.count ? tokens[place + 1].kind : .end }

  private func wasName(_ name: String) -> Bool { place > 0 && tokens[place - 1].kind == .name(name) }

  private mutating func skip() { place += 1 }

  private mutating func takes(_ kind: TracedCodeToken.Kind) -> Bool {
    guard next == kind else { return false }
    place += 1
    return true
  }

  private mutating func expect(_ kind: TracedCodeToken.Kind) throws {
    guard takes(kind) else { throw refusal }
  }

  private mutating func name() throws -> String {
    guard case .name(let name) = next, !Self.keywords.contains(name) else { throw refusal }
    skip()
    return name
  }

  private mutating func dottedName() throws -> String {
    var text = try name()
    while takes(.sign(".")) { text += "." + (try name()) }
    return text
  }

  private var refusal: ModelError {
    let token = place < tokens.count ? tokens[place] : tokens[tokens.count - 1]
    let what =
      switch token.kind {
      case .name(let name): "'\(name.prefix(40))'"
      case .int(let value): "'\(value)'"
      case .double(let value): "'\(value)'"
      case .string(let text): "'\(text.prefix(40))'"
      case .sign(let sign): "'\(sign)'"
      case .end: "nothing"
      }
    return TracedCodeToken.refusal(token.line, what + " where something else belongs")
  }
}
