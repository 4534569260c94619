import CKernels
import ModelCore

/// Where averages stand.
public enum StreamedAverages {
  /// Whether an average that is made now is computed when it is read, tensor by tensor, from its models: for some
  /// checkpoints in files, together larger than memory. Each model stays in use as long as the average. Otherwise an
  /// average has memory of its own.
  @TaskLocal public static var isOn = false
}

/// The tensors of an average, and how a model is taken into them.
struct AveragedWeights: Sendable {
  /// How one tensor of the average changes.
  enum Rule: Sendable {
    case keep
    case copy
    /// average · keep + weight · model
    case mix(keep: Double, weight: Double)
    case lerp(weight: Double)
    /// average + (model - average) / divisor
    case running(divisor: Double)
  }

  enum Role: Sendable { case parameter, buffer, nonPersistentBuffer }

  /// Which tensor of the model belongs to which of the average.
  enum Matching: Sendable { case names, order }

  /// The module that the tensors belong to; nil for a state dict.
  var skeleton: Module?
  private var metadata: [String: String]?
  private var places: OrderedDictionary<String, Int> = [:]
  /// The buffers that a state dict leaves out; a module's only.
  private var nonPersistent: OrderedDictionary<String, Int> = [:]
  private var slots: [Tensor] = []
  /// Of each slot, whether a parameter stands in it; in the others are buffers.
  private var isParameter: [Bool] = []
  private let placeholder: Tensor
  private let isStreamed = StreamedAverages.isOn

  init(_ model: Model) throws {
    placeholder = try Tensor(.float32, [0])
    let state = model.stateDict()
    metadata = state.metadata
    var known: [Tensor.Identity: Int] = [:]
    for (name, tensor) in state.tensors {
      if let slot = known[tensor.identity], tensor.count > 0 {
        places[name] = slot
        continue
      }
      known[tensor.identity] = slots.count
      places[name] = slots.count
      slots.append(try beginning(tensor, name))
    }
    switch model {
    case .module(var module):
      for (name, tensor) in module.nonPersistentTensors() where known[tensor.identity] == nil {
        nonPersistent[name] = slots.count
        slots.append(try beginning(tensor, name))
      }
      var parameters: [String] = []
      module.updateModules { path, module in
        module.isTraining = false
        for (index, name) in module.parameters.keys.enumerated() {
          module.parameters.values[index].requiresGrad = false
          parameters.append(dotted(path, name))
        }
      }
      skeleton = module
      setParameters(parameters)
    case .stateDict:
      setParameters(state.names.filter { state.isParameter($0) })
    }
  }

  /// A parameter under its second name is one too.
  private mutating func setParameters(_ names: some Sequence<String>) {
    isParameter = [Bool](repeating: false, count: slots.count)
    for name in names { if let slot = places[name] { isParameter[slot] = true } }
  }

  /// A tensor as it begins.
  private func beginning(_ tensor: Tensor, _ name: String) throws -> Tensor {
    if isStreamed { return tensor }
    do { return try tensor.materialized() } catch let error as ModelError { throw error.about(name) }
  }

  var stateDict: StateDict {
    StateDict(places.mapValues { slots[$0] }, metadata: metadata)
  }

  var model: Model {
    guard var module = skeleton else { return .stateDict(stateDict) }
    module.setTensors(includesNonPersistent: true) { name in
      (places[name] ?? nonPersistent[name]).map { slots[$0] }
    }
    return .module(module)
  }

  /// - Parameter rule: for each tensor, by its type and what it is. Buffers that a state dict leaves out are asked
  ///   about where both sides are modules.
  mutating func update(
    _ model: Model, by matching: Matching, decay: Double, skipsNonFinite: Bool,
    _ rule: (_ tensor: Tensor, _ role: Role) -> Rule
  ) throws -> AverageUpdate {
    var jobs = try jobs(for: model, matching, rule)
    if skipsNonFinite || isStreamed {
      try Parallel.update(&jobs) { [isStreamed] job in
        job.isNonFinite = try job.source.hasNonFinite()
        if isStreamed { job.source.releasePages() }
      }
      let names = jobs.filter(\.isNonFinite).map(\.name)
      if skipsNonFinite, !names.isEmpty { return AverageUpdate(decay: decay, nonFinite: names, isSkipped: true) }
    }
    if isStreamed {
      let averages = try jobs.map { try $0.streamed(over: slots[$0.slot]) }
      for (job, average) in zip(jobs, averages) { slots[job.slot] = average }
      return AverageUpdate(decay: decay, nonFinite: jobs.filter(\.isNonFinite).map(\.name), isSkipped: false)
    }
    // The largest first, so that no thread is left with a large one at the end; what would still keep one busy when the
    // others are done is divided among all.
    jobs.sort { $0.source.count > $1.source.count }
    let share = jobs.reduce(0) { $0 + $1.source.count } / (4 * max(1, Parallel.threadCount))
    for index in jobs.indices { jobs[index].isDivided = jobs[index].source.count > share }
    // What can fail comes before anything is changed: reading what is not in memory, and casts.
    do {
      let current = slots
      try Parallel.update(&jobs) { try $0.prepare(replacing: current[$0.slot]) }
    }
    // Out of the slots while they change, so that nobody else holds their memory.
    for index in jobs.indices {
      jobs[index].average = slots[jobs[index].slot]
      slots[jobs[index].slot] = placeholder
    }
    defer { for job in jobs { slots[job.slot] = job.average } }
    for index in jobs.indices where jobs[index].isDivided { try jobs[index].run() }
    try Parallel.update(&jobs) { job in
      if !job.isDivided { try job.run() }
    }
    let nonFinite = jobs.filter(\.isNonFinite).sorted { $0.slot < $1.slot }
    return AverageUpdate(decay: decay, nonFinite: nonFinite.map(\.name), isSkipped: false)
  }

  private func jobs(
    for model: Model, _ matching: Matching, _ rule: (Tensor, Role) -> Rule
  ) throws -> [AverageJob] {
    var jobs: [AverageJob] = []
    var isTaken = [Bool](repeating: false, count: slots.count)
    let sources = try sources(in: model.stateDict(), matching)
    let known = skeleton == nil ? model.module.map(Self.parameters) : nil
    for (index, (name, slot)) in places.enumerated() where !isTaken[slot] {
      isTaken[slot] = true
      guard let source = sources[index] else { throw Self.missing(name) }
      let isParameter = known?.contains(source.identity) ?? isParameter[slot]
      let rule = rule(slots[slot], isParameter ? .parameter : .buffer)
      if let job = try job(name, slot, source, rule) { jobs.append(job) }
    }
    guard let module = model.module else { return jobs }
    let others = module.nonPersistentTensors()
    let isByName = others.count != nonPersistent.count || nonPersistent.keys.allSatisfy { others[$0] != nil }
    for (index, (name, slot)) in nonPersistent.enumerated() {
      let rule = rule(slots[slot], .nonPersistentBuffer)
      if case .keep = rule { continue }
      guard let source = isByName ? others[name] : others.values[index] else { throw Self.missing(name) }
      if let job = try job(name, slot, source, rule) { jobs.append(job) }
    }
    return jobs
  }

  private func job(_ name: String, _ slot: Int, _ source: Tensor, _ rule: Rule) throws -> AverageJob? {
    let average = slots[slot]
    guard source.shape == average.shape else {
      throw ModelError(
        .mismatch, "has shape \(source.shape) in the model and \(average.shape) in the average", subject: name)
    }
    switch rule {
    case .keep: return nil
    case .copy: break
    case .mix, .lerp, .running:
      guard !average.dtype.isFloatingPoint || average.dtype.kernelFormat != nil else {
        throw ModelError(.unsupported, "\(average.dtype.rawValue) cannot be averaged", subject: name)
      }
    }
    return AverageJob(name: name, slot: slot, source: source, rule: rule, average: placeholder)
  }

  private static func missing(_ name: String) -> ModelError {
    ModelError(.missing, "the model of this update lacks this tensor", subject: name)
  }

  /// A module's parameters: an average that is a bare state dict does not know which of its tensors are some.
  private static func parameters(of module: Module) -> Set<Tensor.Identity> {
    var parameters: Set<Tensor.Identity> = []
    module.visitParameters { parameter in parameters.insert(parameter.tensor.identity) }
    return parameters
  }

  private func sources(in state: StateDict, _ matching: Matching) throws -> [Tensor?] {
    switch matching {
    case .order:
      guard state.count == places.count else {
        throw ModelError(.mismatch, "the model has \(state.count) tensors, the average \(places.count)")
      }
      // Formats order tensors each in its way: where the names are the same, they tell better what belongs together.
      let named = places.keys.map { state[$0] }
      return named.contains { $0 == nil } ? Array(state.tensors.values) : named
    case .names:
      let named = places.keys.map { state[$0] }
      if !named.contains(where: { $0 == nil }) { return named }
      let matching = NameMatching(stateDict, state)
      return places.keys.map { matching.target(of: $0).flatMap { state[$0] } }
    }
  }
}

extension Tensor {
  /// Whether a floating element is NaN or infinite.
  func hasNonFinite() throws -> Bool {
    guard let format = dtype.kernelFormat else { return false }
    return try withContiguousBytes { mk_has_nonfinite($0.baseAddress, count, format) }
  }
}
