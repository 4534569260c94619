import ModelCore

/// torch's `optimizer.state_dict()`: what it holds, and back.
extension Optimizer {
  /// What is kept of a parameter, by torch's names (`exp_avg`, `momentum_buffer`, …), flat and in the order of its
  /// memory; empty for one that has had no step.
  public func state(of name: String) throws -> [String: Tensor] {
    guard let place = place(name), let state = states[place.number] else { return [:] }
    var tensors: [String: Tensor] = [:]
    for (index, name) in groups[place.group].rule.stateNames.enumerated() {
      if let name { tensors[name] = try state.tensor(index) }
    }
    return tensors
  }

  /// How many steps a parameter has had.
  public func steps(of name: String) -> Int { place(name).flatMap { states[$0.number]?.step } ?? 0 }

  /// Puts what is kept of a parameter in the place of what was.
  /// - Parameters:
  ///   - state: by torch's names, of equal numbers of elements; in the order of the parameter's memory.
  ///   - steps: how many steps made it.
  /// - Throws: `ModelError` for a parameter that is in no group, a name that its rule does not have or lacks, and
  ///   different numbers of elements.
  public mutating func setState(of name: String, to state: [String: Tensor], steps: Int) throws {
    guard let place = place(name) else {
      throw ModelError(.missing, "is in none of the optimizer's groups", subject: name)
    }
    states[place.number] = try Self.parameterState(name, state, steps, groups[place.group].rule)
  }

  private static func parameterState(
    _ name: String, _ tensors: [String: Tensor], _ steps: Int, _ rule: OptimizerRule
  ) throws -> ParameterState<Scalar>? {
    let names = rule.stateNames
    if let other = tensors.keys.first(where: { !names.contains($0) }) {
      throw ModelError(.mismatch, "has a state '\(other)', which \(rule.name) with its options does not", subject: name)
    }
    guard let count = tensors.values.first?.count else { return nil }
    guard steps >= 0 else { throw ModelError(.invalid, "cannot have had \(steps) steps", subject: name) }
    var state = ParameterState<Scalar>(count: count)
    state.step = steps
    for (index, key) in names.enumerated() {
      guard let key else { continue }
      guard let tensor = tensors[key] else { throw ModelError(.missing, "has no state '\(key)'", subject: name) }
      guard tensor.count == count else {
        throw ModelError(.mismatch, "has states of \(count) and of \(tensor.count) elements", subject: name)
      }
      do { try state.set(index, to: tensor) } catch let error as ModelError { throw error.about(name) }
    }
    return state
  }

  /// What `torch.optim.Optimizer.state_dict` gives: `state` by the parameters' numbers, and `param_groups`. An entry
  /// `optimizer` of a checkpoint can be set to it.
  /// - Parameter arrange: makes of a parameter's state, flat in the order of its memory, the tensor of the parameter's
  ///   shape that torch has.
  /// - Throws: what `arrange` throws.
  public func stateDict(_ arrange: (_ name: String, _ state: Tensor) throws -> Tensor) throws -> Attribute {
    var entries: [Attribute.Entry] = []
    var ids: [Attribute] = []
    var packed: [Attribute] = []
    for group in groups {
      ids.removeAll()
      for name in group.names {
        guard let place = place(name) else { continue }
        ids.append(.int(place.number))
        guard let state = states[place.number] else { continue }
        var items: [Attribute.Entry] = []
        if group.rule.countsSteps {
          items.append(.init(key: .string("step"), value: .tensor(.init(try Tensor([Float(state.step)], [])))))
        }
        for (index, key) in group.rule.stateNames.enumerated() {
          guard let key, let tensor = try state.tensor(index) else { continue }
          items.append(.init(key: .string(key), value: .tensor(.init(try arrange(name, tensor)))))
        }
        if !items.isEmpty { entries.append(.init(key: .int(place.number), value: .dict(items))) }
      }
      packed.append(.dict(group.options + [.init(key: .string("params"), value: .list(ids))]))
    }
    return .dict([
      .init(key: .string("state"), value: .dict(entries)), .init(key: .string("param_groups"), value: .list(packed)),
    ])
  }

  /// The same for parameters whose memory is in row-major order, with the shapes that they have in a state dict.
  /// - Throws: `ModelError` for a parameter that the state dict lacks, or that has another number of elements there.
  public func stateDict(like parameters: StateDict) throws -> Attribute {
    try stateDict { name, state in
      guard let shape = parameters[name]?.shape else {
        throw ModelError(.missing, "is in the optimizer, and not in the model", subject: name)
      }
      do { return try state.reshaped(shape) } catch let error as ModelError { throw error.about(name) }
    }
  }

  /// What torch's `load_state_dict` does: takes the options and states that a state dict holds, group by group and
  /// number by number.
  /// - Parameters:
  ///   - stateDict: what `torch.optim.Optimizer.state_dict` gave.
  ///   - arrange: puts a state of the parameter's shape into the order of the parameter's memory.
  /// - Throws: `ModelError` for what is no such state dict, another number of groups or of parameters in one, another
  ///   rule, and options or states that it does not have; nothing is changed then.
  public mutating func load(
    _ stateDict: Attribute, _ arrange: (_ name: String, _ state: Tensor) throws -> Tensor = { $1 }
  ) throws {
    guard let saved = stateDict["state"]?.entriesValue, case .list(let packed)? = stateDict["param_groups"] else {
      throw ModelError(.malformed, "an optimizer's state dict has state and param_groups")
    }
    guard packed.count == groups.count else {
      throw ModelError(.mismatch, "the state dict has \(packed.count) groups, the optimizer \(groups.count)")
    }
    var byID: [Int: Attribute] = [:]
    for entry in saved {
      guard let id = entry.key.intValue, byID.updateValue(entry.value, forKey: id) == nil else {
        throw ModelError(.malformed, "the states of an optimizer's state dict are not numbered")
      }
    }
    var loaded = groups
    var newStates = [ParameterState<Scalar>?](repeating: nil, count: states.count)
    for (index, (group, options)) in zip(groups, packed).enumerated() {
      guard let ids = options["params"]?.intsValue, ids.count == group.names.count else {
        throw ModelError(
          .mismatch, "group \(index) of the state dict has not the optimizer's \(group.names.count) parameters")
      }
      try loaded[index].take(options, group: index)
      for (name, id) in zip(group.names, ids) {
        guard let state = byID[id], let place = place(name) else { continue }
        newStates[place.number] = try Self.parameterState(name, state, loaded[index].rule, arrange)
      }
    }
    (groups, states) = (loaded, newStates)
  }

  private static func parameterState(
    _ name: String, _ saved: Attribute, _ rule: OptimizerRule, _ arrange: (String, Tensor) throws -> Tensor
  ) throws -> ParameterState<Scalar>? {
    guard let entries = saved.entriesValue else {
      throw ModelError(.malformed, "has a state that is no dict", subject: name)
    }
    var tensors: [String: Tensor] = [:]
    var steps = 0
    for entry in entries {
      guard let key = entry.key.stringValue else {
        throw ModelError(.malformed, "has a state without a name", subject: name)
      }
      if key == "step" {
        guard let value = entry.value.doublesValue, value.count == 1, let count = Int(exactly: value[0]), count >= 0
        else {
          throw ModelError(.malformed, "has a number of steps that is none", subject: name)
        }
        steps = count
      } else if case .none = entry.value {
        continue
      } else {
        guard let tensor = entry.value.tensorValue else {
          throw ModelError(.malformed, "has a state '\(key)' that is no tensor", subject: name)
        }
        tensors[key] = try arrange(name, tensor)
      }
    }
    return try parameterState(name, tensors, steps, rule)
  }
}

extension ParameterGroup {
  /// torch's names and values, without the parameters.
  fileprivate var options: [Attribute.Entry] {
    var options: [(String, Attribute)]
    switch rule {
    case .sgd(let sgd):
      options = [
        ("lr", .double(sgd.learningRate)), ("momentum", .orZero(sgd.momentum)), ("dampening", .orZero(sgd.dampening)),
        ("weight_decay", .orZero(sgd.weightDecay)), ("nesterov", .bool(sgd.nesterov)),
        ("maximize", .bool(sgd.maximize)), ("foreach", .none), ("differentiable", .bool(false)), ("fused", .none),
      ]
    case .adam(let adam):
      options = [
        ("lr", .double(adam.learningRate)), ("betas", .tuple([.double(adam.beta1), .double(adam.beta2)])),
        ("eps", .double(adam.eps)), ("weight_decay", .orZero(adam.weightDecay)), ("amsgrad", .bool(adam.amsgrad)),
        ("maximize", .bool(adam.maximize)), ("foreach", .none), ("capturable", .bool(false)),
        ("differentiable", .bool(false)), ("fused", .none),
        ("decoupled_weight_decay", .bool(adam.decoupledWeightDecay)),
      ]
    case .rmsprop(let rmsprop):
      options = [
        ("lr", .double(rmsprop.learningRate)), ("momentum", .orZero(rmsprop.momentum)),
        ("alpha", .double(rmsprop.alpha)), ("eps", .double(rmsprop.eps)), ("centered", .bool(rmsprop.centered)),
        ("weight_decay", .orZero(rmsprop.weightDecay)), ("capturable", .bool(false)), ("foreach", .none),
        ("maximize", .bool(rmsprop.maximize)), ("differentiable", .bool(false)),
      ]
    }
    if let initialLearningRate { options.append(("initial_lr", .double(initialLearningRate))) }
    return options.map { .init(key: .string($0), value: $1) }
  }

  /// Takes the options of a state dict's group.
  fileprivate mutating func take(_ options: Attribute, group: Int) throws {
    func number(_ name: String) throws -> Double {
      guard let values = options[name]?.doublesValue, values.count == 1 else {
        throw ModelError(.malformed, "group \(group) of the state dict has no number '\(name)'")
      }
      return values[0]
    }
    func flag(_ name: String, _ missing: Bool? = nil) throws -> Bool {
      if options[name] == nil, let missing { return missing }
      guard let value = options[name]?.boolValue else {
        throw ModelError(.malformed, "group \(group) of the state dict has no flag '\(name)'")
      }
      return value
    }
    let maximize = try flag("maximize", false)
    switch rule {
    case .sgd(var sgd):
      (sgd.learningRate, sgd.momentum) = (try number("lr"), try number("momentum"))
      (sgd.dampening, sgd.weightDecay) = (try number("dampening"), try number("weight_decay"))
      (sgd.nesterov, sgd.maximize) = (try flag("nesterov"), maximize)
      rule = .sgd(sgd)
    case .adam(var adam):
      guard let betas = options["betas"]?.doublesValue, betas.count == 2 else {
        throw ModelError(.malformed, "group \(group) of the state dict has no betas")
      }
      // Releases before 2.7 do not say which of the two they are.
      guard try flag("decoupled_weight_decay", adam.decoupledWeightDecay) == adam.decoupledWeightDecay else {
        throw ModelError(
          .mismatch, "the state dict is \(adam.decoupledWeightDecay ? "Adam" : "AdamW")'s, not \(rule.name)'s")
      }
      (adam.learningRate, adam.beta1, adam.beta2) = (try number("lr"), betas[0], betas[1])
      (adam.eps, adam.weightDecay) = (try number("eps"), try number("weight_decay"))
      (adam.amsgrad, adam.maximize) = (try flag("amsgrad"), maximize)
      rule = .adam(adam)
    case .rmsprop(var rmsprop):
      (rmsprop.learningRate, rmsprop.alpha, rmsprop.eps) = (try number("lr"), try number("alpha"), try number("eps"))
      (rmsprop.weightDecay, rmsprop.momentum) = (try number("weight_decay"), try number("momentum"))
      (rmsprop.centered, rmsprop.maximize) = (try flag("centered"), maximize)
      rule = .rmsprop(rmsprop)
    }
    initialLearningRate = options["initial_lr"] == nil ? nil : try number("initial_lr")
    try rule.check()
  }
}

extension Attribute {
  /// torch's defaults of 0 are whole numbers.
  fileprivate static func orZero(_ value: Double) -> Attribute { value == 0 ? .int(0) : .double(value) }

  /// What stands in a dict under text; of equal keys the last.
  fileprivate subscript(key: String) -> Attribute? { entriesValue?.last { $0.key.stringValue == key }?.value }
}
