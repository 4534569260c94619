import ModelCore
import ModelGraph

extension Forward {
  /// Networks that torch.fx has traced: their own code says what they compute.
  static let traced: [String: Forward] = [
    "torch.fx.graph_module.GraphModule": .lists { net, inputs in
      let source = try net.module.attributes["_code"] == nil ? net.string("code") : net.string("_code")
      // The names of wrapped functions are their paths, so that the imports need not be known.
      let code = try TracedCode(
        source: source,
        imports: """
          import torch
          import math
          import operator
          from torch import device
          from torchvision.ops.stochastic_depth import stochastic_depth as \
          torchvision_ops_stochastic_depth_stochastic_depth
          """)
      var forward = TracedForward(net, code)
      return try forward.run(inputs)
    }
  ]
}

/// Runs the code of a traced network on symbolic tensors.
struct TracedForward {
  /// What a name in the code stands for.
  indirect enum Item {
    case none, ellipsis
    case bool(Bool)
    case int(Int)
    case double(Double)
    case string(String)
    case dtype(DType)
    /// A tuple or a list.
    case list([Item])
    case slice(Item, Item, Item)
    case tensor(ForwardCall.Value)
  }

  let net: ForwardCall
  private let code: TracedCode
  private var names: [String: Item] = [:]

  init(_ net: ForwardCall, _ code: TracedCode) { (self.net, self.code) = (net, code) }

  func refusal(_ what: String) -> ModelError { ModelError(.unsupported, "its code \(what)", subject: net.path) }

  mutating func run(_ inputs: [ForwardCall.Value]) throws -> [ForwardCall.Value] {
    guard inputs.count <= code.parameters.count else {
      throw ModelError(
        .mismatch, "takes \(code.parameters.count) tensors, not \(inputs.count)", subject: net.path)
    }
    for (index, parameter) in code.parameters.enumerated() {
      if index < inputs.count {
        names[parameter.name] = .tensor(inputs[index])
      } else if let standard = parameter.standard {
        names[parameter.name] = try evaluate(standard)
      } else {
        throw ModelError(.mismatch, "needs an input '\(parameter.name)'", subject: net.path)
      }
    }
    for statement in code.statements {
      switch statement {
      case .assign(let targets, let value):
        let item = try evaluate(value)
        for target in targets { names[target] = item }
      case .giveBack(let value): return try tensors(in: evaluate(value))
      }
    }
    throw refusal("returns nothing")
  }

  /// All tensors of a result, in order.
  private func tensors(in item: Item) throws -> [ForwardCall.Value] {
    switch item {
    case .tensor(let value): return [value]
    case .list(let items): return try items.flatMap { try tensors(in: $0) }
    default: throw refusal("returns what is no tensor")
    }
  }

  // MARK: Expressions

  private func evaluate(_ expression: TracedCode.Expression) throws -> Item {
    if let path = TracedCode.path(expression), !path.isEmpty { return try attribute(path) }
    switch expression {
    case .none: return .none
    case .ellipsis: return .ellipsis
    case .bool(let value): return .bool(value)
    case .int(let value): return .int(value)
    case .double(let value): return .double(value)
    case .string(let text): return .string(text)
    case .tuple(let items), .list(let items): return .list(try items.map { try evaluate($0) })
    // What a network returns by names.
    case .dict(_, let values): return .list(try values.map { try evaluate($0) })
    case .slice(let from, let to, let step): return .slice(try evaluate(from), try evaluate(to), try evaluate(step))
    case .name(let name):
      guard let item = names[name] else { throw refusal("uses '\(name)' before it has a value") }
      return item
    case .attribute(let base, let name):
      if let global = code.global(expression) {
        guard global.module == "torch", let dtype = DType(rawValue: name) else { throw refusal("uses \(global)") }
        return .dtype(dtype)
      }
      guard ["shape", "ndim"].contains(name), case .tensor(let value) = try evaluate(base) else {
        throw refusal("takes .\(name)")
      }
      if name == "ndim" { return .int(try net.shape(of: value).count) }
      return .list(try net.shape(of: value).map { .int($0) })
    case .item(let base, let place): return try element(of: evaluate(base), at: evaluate(place))
    case .unary(let sign, let operand): return try unary(sign, evaluate(operand))
    case .binary(let sign, let first, let second): return try binary(sign, evaluate(first), evaluate(second))
    case .call(let callee, let arguments): return try call(callee, arguments)
    }
  }

  /// A parameter or buffer of the network, or a number among its attributes.
  private func attribute(_ path: String) throws -> Item {
    if let value = try? net.weight(path) { return .tensor(value) }
    guard let attribute = net.module.attributes[path] else { throw net.missing(path) }
    if let tensor = attribute.tensorValue { return .tensor(net.tracer.graph.addConstant(tensor)) }
    if let value = attribute.intValue { return .int(value) }
    if let value = attribute.doubleValue { return .double(value) }
    throw net.missing(path)
  }

  private func call(_ callee: TracedCode.Expression, _ arguments: [TracedCode.Argument]) throws -> Item {
    let given = TracedArguments(
      self, try arguments.filter { $0.name == nil }.map { try evaluate($0.value) },
      try arguments.reduce(into: [:]) { named, argument in
        if let name = argument.name { named[name] = try evaluate(argument.value) }
      })
    if let path = TracedCode.path(callee) { return try submodule(path, given) }
    if let global = code.global(callee) {
      switch global.module {
      case "torch", "torch.functional", "torch.nn.functional", "torch._C._nn", "operator", "math",
        "torchvision.ops.stochastic_depth":
        return try function(global.name, given)
      default: throw refusal("calls \(global), which is not known")
      }
    }
    guard case .attribute(let base, let method) = callee else {
      if callee == .name("getattr"), arguments.count == 2, case .string(let name) = arguments[1].value {
        return try evaluate(.attribute(arguments[0].value, name))
      }
      if case .name(let name) = callee { throw refusal("calls \(name), which is not known") }
      throw refusal("calls what it has computed")
    }
    return try function(method, given.behind(evaluate(base)))
  }

  /// What a submodule gives, in the tuples that PyTorch's layers of several results give.
  private func submodule(_ path: String, _ given: TracedArguments) throws -> Item {
    // An attention's second result is not computed.
    for name in given.named.keys.sorted() where !["need_weights", "average_attn_weights"].contains(name) {
      throw refusal("calls \(path) with '\(name)' by name")
    }
    let results = try net.call(path, given.positional.map { try tensor($0, "what \(path) is given") }).map {
      Item.tensor($0)
    }
    switch net.module[path]?.layer {
    case .multiheadAttention: return .list(results + [.none])
    case .recurrent where results.count == 3: return .list([results[0], .list(Array(results[1...]))])
    default: return results.count == 1 ? results[0] : .list(results)
    }
  }

  // MARK: Operators

  private func unary(_ sign: String, _ item: Item) throws -> Item {
    switch (sign, item) {
    case ("-", .int(let value)): return .int(try whole(0.subtractingReportingOverflow(value)))
    case ("-", .double(let value)): return .double(-value)
    case ("-", .tensor(let value)): return .tensor(try net.unary(.negate, value))
    case ("+", _): return item
    default: throw refusal("uses \(sign)")
    }
  }

  func binary(_ sign: String, _ first: Item, _ second: Item) throws -> Item {
    if case .int(let a) = first, case .int(let b) = second { return try integers(sign, a, b) }
    if let a = number(first), let b = number(second) { return try numbers(sign, a, b) }
    let functions: [String: Binary] = [
      "+": .add, "-": .subtract, "*": .multiply, "/": .divide, "//": .floorDivide, "%": .remainder, "**": .power,
    ]
    if sign == "@" {
      return .tensor(try net.matrixProduct(tensor(first, "a factor"), tensor(second, "a factor")))
    }
    let comparisons: [String: Comparison] = [
      "==": .equal, "!=": .notEqual, "<": .less, "<=": .lessOrEqual, ">": .greater, ">=": .greaterOrEqual,
    ]
    if let comparison = comparisons[sign] {
      return .tensor(
        try net.emit(.compare(comparison), tensor(first, "an operand"), tensor(second, "an operand")))
    }
    guard let function = functions[sign] else { throw refusal("uses \(sign) on tensors") }
    return .tensor(try net.binary(function, tensor(first, "an operand"), tensor(second, "an operand")))
  }

  private func integers(_ sign: String, _ a: Int, _ b: Int) throws -> Item {
    switch sign {
    case "+": return .int(try whole(a.addingReportingOverflow(b)))
    case "-": return .int(try whole(a.subtractingReportingOverflow(b)))
    case "*": return .int(try whole(a.multipliedReportingOverflow(by: b)))
    case "//", "%":
      // Rounded down, as Python does; only sizes occur.
      guard a >= 0, b > 0 else { throw refusal("divides \(a) by \(b)") }
      return .int(sign == "%" ? a % b : a / b)
    default: return try numbers(sign, Double(a), Double(b))
    }
  }

  private func numbers(_ sign: String, _ a: Double, _ b: Double) throws -> Item {
    switch sign {
    case "+": return .double(a + b)
    case "-": return .double(a - b)
    case "*": return .double(a * b)
    case "/": return .double(a / b)
    case "**": return .double(CMath.pow(a, b))
    case "==": return .bool(a == b)
    case "!=": return .bool(a != b)
    case "<": return .bool(a < b)
    case "<=": return .bool(a <= b)
    case ">": return .bool(a > b)
    case ">=": return .bool(a >= b)
    default: throw refusal("uses \(sign) on numbers")
    }
  }

  private func whole(_ result: (partialValue: Int, overflow: Bool)) throws -> Int {
    guard !result.overflow else { throw refusal("computes a number beyond 64 bits") }
    return result.partialValue
  }

  /// `item[place]`.
  func element(of item: Item, at place: Item) throws -> Item {
    switch (item, place) {
    case (.list(let items), .int(let index)):
      let index = index < 0 ? index + items.count : index
      guard items.indices.contains(index) else { throw refusal("takes element \(index) of \(items.count)") }
      return items[index]
    case (.list(let items), .slice(let from, let to, .none)):
      let (start, end) = (try int(from) ?? 0, try int(to) ?? items.count)
      func clamped(_ index: Int) -> Int { min(max(index < 0 ? index + items.count : index, 0), items.count) }
      return .list(Array(items[clamped(start)..<max(clamped(start), clamped(end))]))
    case (.tensor(let value), .list(let places)): return .tensor(try part(of: value, places))
    case (.tensor(let value), _): return .tensor(try part(of: value, [place]))
    default: throw refusal("takes an element in a way that is not known")
    }
  }

  /// Slices of the first axes, and single places that take their axes away.
  private func part(of value: ForwardCall.Value, _ places: [Item]) throws -> ForwardCall.Value {
    var (value, axis) = (value, 0)
    for place in places {
      switch place {
      case .slice(let from, let to, let step):
        let (from, to, step) = (try int(from), try int(to), try int(step))
        if from != nil || to != nil || step != nil {
          guard step ?? 1 > 0 else { throw refusal("takes a slice with step \(step ?? 1)") }
          value = try net.slice(value, axis: axis, from: from ?? 0, to: to, step: step ?? 1)
        }
        axis += 1
      case .int(let index):
        value = try squeezed(
          net.slice(value, axis: axis, from: index, to: index == -1 ? nil : index + 1), axis: axis)
      case .none:
        value = try net.stack([value], axis: axis)
        axis += 1
      default: throw refusal("takes an element in a way that is not known")
      }
    }
    return value
  }

  /// Without an axis of length 1.
  func squeezed(_ value: ForwardCall.Value, axis: Int) throws -> ForwardCall.Value {
    let shape = try net.shape(of: value)
    let axis = axis < 0 ? axis + shape.count : axis
    guard shape.indices.contains(axis), shape[axis] == 1 else { return value }
    return try net.reshape(value, shape.indices.filter { $0 != axis }.map { .fixed(shape[$0]) })
  }

  // MARK: Items

  /// A tensor, or a number as one of no axes.
  func tensor(_ item: Item, _ what: String) throws -> ForwardCall.Value {
    if case .tensor(let value) = item { return value }
    guard let number = number(item) else { throw refusal("gives something else where \(what) is a tensor") }
    return try net.constant([number], [])
  }

  func number(_ item: Item) -> Double? {
    switch item {
    case .int(let value): Double(value)
    case .double(let value): value
    default: nil
    }
  }

  /// Nil for None.
  func int(_ item: Item) throws -> Int? {
    switch item {
    case .none: return nil
    case .int(let value) where (-1 << 40...1 << 40).contains(value): return value
    default: throw refusal("gives something else where a whole number belongs")
    }
  }
}
