import ModelCheckpoints
import ModelCore
import ModelData
import ModelTraining
import SystemPackage

/// Where a detector's run stands: all that its continuation needs, in one file.
///
/// The file is YOLOv6's dict: `model` and `ema` (whole modules, in float32 here), `updates`, `optimizer` (torch's),
/// `scheduler`, `epoch` (the last that is done) and `results`, so that its programs load it. Beside these stand `step`
/// (batches done of the next epoch), `last_update`, `losses` (means over that epoch so far), `gradients` (sums that no
/// update has used), `best`, `best_plain`, `task`, `options` (JSON), `names` and `pictures`.
struct DetectorState {
  /// What comes next, from 0.
  var epoch = 0
  /// Batches of the epoch that are done.
  var step = 0
  /// The step of the last update, counted through all epochs; before the first -1.
  var lastUpdate = -1
  /// The mean of each item of the loss over the epoch so far.
  var losses: [Double] = []
  /// The best average precision, and that of the epochs without mosaic.
  var best: Double?, bestPlain: Double?
  /// AP50 and AP of the last evaluation.
  var results = [0.0, 0.0]

  /// Writes the state in a file's place, which is whole at any time.
  func write(
    to path: FilePath, _ learner: Learner, options: DetectorTrainingOptions, of set: DetectionSet
  ) throws {
    let module = try learner.updated()
    var file = Checkpoint(whole: module, name: path.string)
    file.nestModel(under: "model")
    if learner.isAveraged {
      try file.add(whole: learner.updated(averaged: true), under: "ema")
    } else {
      try file.setEntry("ema", to: .none)
    }
    try file.setEntry("updates", to: .int(learner.updates))
    try file.setEntry("optimizer", to: learner.optimizer.stateDict(like: module.stateDict()))
    try file.setEntry("scheduler", to: scheduler(learner))
    if let pending = try learner.pendingGradients() {
      try file.setEntry(
        "gradients",
        to: .orderedDict(pending.tensors.map { .init(key: .string($0.key), value: .tensor(.init($0.value))) }))
    }
    try addEntries(to: &file, options, set)
    try file.setEntry("step", to: .int(step))
    try file.setEntry("last_update", to: .int(lastUpdate))
    try file.setEntry("losses", to: .list(losses.map { .double($0) }))
    try file.setEntry("best", to: best.map { .double($0) } ?? .none)
    try file.setEntry("best_plain", to: bestPlain.map { .double($0) } ?? .none)
    try file.write(to: path)
  }

  /// Writes the weights that were judged alone, as YOLOv6's `strip_model` leaves them: in float16, without what goes on.
  func writeStripped(
    _ judged: Module, to path: FilePath, options: DetectorTrainingOptions, of set: DetectionSet
  ) throws {
    var module = judged
    let state = module.stateDict()
    var halves: [String: Tensor] = [:]
    for (name, tensor) in state.tensors where tensor.dtype.isFloatingPoint {
      halves[name] = try tensor.converted(to: .float16)
    }
    module.setTensors { halves[$0] }
    module.updateModules { _, layer in
      for name in layer.parameters.keys { layer.parameters[name]?.requiresGrad = false }
    }
    var file = Checkpoint(whole: module, name: path.string)
    file.nestModel(under: "model")
    for key in ["ema", "updates", "optimizer"] { try file.setEntry(key, to: .none) }
    try addEntries(to: &file, options, set)
    try file.write(to: path)
  }

  private func addEntries(to file: inout Checkpoint, _ options: DetectorTrainingOptions, _ set: DetectionSet) throws {
    try file.setEntry("epoch", to: .int(epoch - 1))
    try file.setEntry("results", to: .tuple(results.map { .double($0) }))
    try file.setEntry("task", to: .string("detect"))
    try file.setEntry("options", to: .string(try options.json()))
    try file.setEntry("names", to: .list(set.classNames.map { .string($0) }))
    try file.setEntry("pictures", to: .int(set.count))
  }

  /// torch's `LambdaLR`, which the originals restore.
  private func scheduler(_ learner: Learner) -> Attribute {
    let groups = learner.optimizer.groups
    func entry(_ name: String, _ value: Attribute) -> Attribute.Entry { .init(key: .string(name), value: value) }
    let rates = groups.map { Attribute.double($0.initialLearningRate ?? $0.rule.learningRate) }
    return .dict([
      entry("base_lrs", .list(rates)), entry("last_epoch", .int(epoch - 1)), entry("_step_count", .int(epoch)),
      entry("_get_lr_called_within_step", .bool(false)),
      entry("_last_lr", .list(groups.map { .double($0.rule.learningRate) })),
      entry("lr_lambdas", .list(groups.map { _ in .none })),
    ])
  }

  /// What a file says of a run.
  struct Saved {
    let state: DetectorState
    let options: DetectorTrainingOptions
    let module: Module
    let names: [String]
    /// How many pictures it learns from.
    let count: Int
    private let file: Checkpoint

    init(_ path: FilePath) throws {
      let file = try Checkpoint(contentsOf: path, key: "model")
      guard let options = try DetectorTrainingOptions(of: file), case .module(let module) = file.preferred else {
        throw ModelError(
          .malformed, "is no state of a detector's run, so none can go on from it", file: path.string,
          advice: "give the folder of a run that mutils train began")
      }
      guard let optimizer = file.contents(of: "optimizer"), optimizer.entriesValue != nil else {
        if file.entry("epoch")?.intValue == options.epochs - 1 {
          throw ModelError(
            .invalid, "has had its \(options.epochs) epochs, and was stripped then: nothing is left to go on with",
            file: path.string, advice: "begin another run from it, with --pretrained; --keep-state keeps states")
        }
        throw ModelError(
          .invalid, "was stripped: its optimizer and its float32 weights are gone, so a run cannot go on from it",
          file: path.string, advice: "begin another run from it, with --pretrained; --keep-state keeps states")
      }
      func number(_ key: String, from least: Int) throws -> Int {
        guard let value = file.entry(key)?.intValue, value >= least else {
          throw ModelError(.malformed, "has no usable '\(key)', so a run cannot go on from it", file: path.string)
        }
        return value
      }
      func double(_ key: String) -> Double? {
        if case .double(let value)? = file.entry(key) { value } else { nil }
      }
      var state = DetectorState()
      state.epoch = try number("epoch", from: -1) + 1
      state.step = try number("step", from: 0)
      state.lastUpdate = try number("last_update", from: -1)
      state.losses = file.contents(of: "losses")?.doublesValue ?? []
      state.results = file.contents(of: "results")?.doublesValue ?? [0, 0]
      (state.best, state.bestPlain) = (double("best"), double("best_plain"))
      count = try number("pictures", from: 1)
      var names: [String] = []
      if case .list(let items)? = file.contents(of: "names") { names = items.compactMap(\.stringValue) }
      (self.state, self.options, self.module, self.names, self.file) = (state, options, module, names, file)
    }

    func restore(_ learner: Learner) throws {
      guard let optimizer = file.contents(of: "optimizer"), let updates = file.entry("updates")?.intValue else {
        throw ModelError(.malformed, "has no number of updates, so a run cannot go on from it", file: file.name)
      }
      var averages: StateDict?
      if learner.isAveraged { averages = try Checkpoint(contentsOf: file.name, key: "ema").preferred.stateDict() }
      var pending: StateDict?
      if let entries = file.contents(of: "gradients")?.entriesValue {
        var state = StateDict()
        for entry in entries {
          if case .string(let name) = entry.key, case .tensor(let held) = entry.value { state[name] = held.tensor }
        }
        pending = state
      }
      do {
        try learner.resume(
          weights: module.stateDict(), averages: averages, optimizer: optimizer, updates: updates, pending: pending)
      } catch let error as ModelError { throw error.inFile(file.name) }
    }
  }
}
