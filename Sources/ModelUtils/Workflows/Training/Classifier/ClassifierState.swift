import ModelCheckpoints
import ModelCore
import ModelData
import ModelTraining
import SystemPackage

#if canImport(FoundationEssentials)
  import FoundationEssentials
#else
  import Foundation
#endif

/// Where a run stands: all that its continuation needs, in one file that torch loads with `weights_only=True`.
///
/// The file is a dict: `model` and `ema` (state dicts), `optimizer` (torch's), `epoch` and `step` (what comes next, and
/// how many batches of it are done), `updates`, `loss` and `right` (sums over the epoch so far), `best`, `options` (JSON),
/// `names` and `pictures`, of what it learns from.
struct ClassifierState {
  var epoch = 0
  /// Batches of the epoch that are done.
  var step = 0
  var lossSum = 0.0
  var rightCount = 0
  var best: Double?

  /// Writes the state in a file's place, which is whole at any time.
  func write(
    to path: FilePath, _ learner: Learner, _ module: Module, options: ClassifierTrainingOptions,
    of set: ClassificationSet,
    imageSize: [Int]
  ) throws {
    var model = module.stateDict()
    let weights = try learner.weights()
    for (name, tensor) in weights { model[name] = tensor }
    var file = Checkpoint(model, name: path.string)
    file.nestModel(under: "model")
    if learner.isAveraged {
      var average = model
      for (name, tensor) in try learner.weights(averaged: true) { average[name] = tensor }
      try file.setEntry(
        "ema", to: .orderedDict(average.tensors.map { .init(key: .string($0.key), value: .tensor(.init($0.value))) }))
    }
    try file.setEntry("optimizer", to: learner.optimizer.stateDict(like: model))
    try file.setEntry("epoch", to: .int(epoch))
    try file.setEntry("step", to: .int(step))
    try file.setEntry("updates", to: .int(learner.updates))
    try file.setEntry("loss", to: .double(lossSum))
    try file.setEntry("right", to: .int(rightCount))
    try file.setEntry("best", to: best.map { .double($0) } ?? .none)
    try file.setEntry("options", to: .string(try options.json()))
    try file.setEntry("names", to: .list(set.classNames.map { .string($0) }))
    try file.setEntry("pictures", to: .int(set.count))
    try file.setEntry("image_size", to: .list(imageSize.map { .int($0) }))
    try file.write(to: path)
  }

  /// What a file says of a run, before its weights are taken.
  struct Saved {
    let state: ClassifierState
    let options: ClassifierTrainingOptions
    let names: [String]
    /// How many pictures it learns from.
    let count: Int
    private let file: Checkpoint

    init(_ path: FilePath) throws {
      let file = try Checkpoint(contentsOf: path, key: "model")
      func number(_ key: String) throws -> Int {
        guard let value = file.entry(key)?.intValue, value >= 0 else {
          throw ModelError(
            .malformed, "has no '\(key)', so a run cannot go on from it", file: path.string,
            advice: "give a run's last.pt, which was not stripped")
        }
        return value
      }
      var state = ClassifierState()
      state.epoch = try number("epoch")
      state.step = try number("step")
      state.rightCount = try number("right")
      count = try number("pictures")
      if case .double(let sum)? = file.entry("loss") { state.lossSum = sum }
      if case .double(let best)? = file.entry("best") { state.best = best }
      guard case .string(let text)? = file.entry("options") else {
        throw ModelError(.malformed, "has no options, so a run cannot go on from it", file: path.string)
      }
      options = try ClassifierTrainingOptions(json: text, file: path.string)
      var names: [String] = []
      if case .list(let items)? = file.contents(of: "names") { names = items.compactMap(\.stringValue) }
      self.names = names
      self.state = state
      self.file = file
    }

    func restore(_ learner: Learner) throws {
      guard let optimizer = file.contents(of: "optimizer"), let updates = file.entry("updates")?.intValue else {
        throw ModelError(.malformed, "has no optimizer, so a run cannot go on from it", file: file.name)
      }
      var averages: StateDict?
      if let entries = file.contents(of: "ema")?.entriesValue {
        var state = StateDict()
        for entry in entries {
          if case .string(let name) = entry.key, case .tensor(let held) = entry.value { state[name] = held.tensor }
        }
        averages = state
      }
      do {
        try learner.resume(
          weights: file.preferred.stateDict(), averages: averages, optimizer: optimizer, updates: updates)
      } catch let error as ModelError { throw error.inFile(file.name) }
    }
  }
}

/// What a run's files say beside the weights: what the classes are called, and the [height, width] of pictures.
public struct LearnedClasses: Sendable, Hashable {
  /// In the order of the classes.
  public let names: [String]
  /// What the network was trained with.
  public let imageSize: [Int]?

  /// nil for any other file.
  public init?(_ file: Checkpoint) {
    if let text = file.metadata["names"], let names = try? JSONDecoder().decode([String].self, from: Data(text.utf8)) {
      self.names = names
      let size = file.metadata["image_size"].flatMap { try? JSONDecoder().decode([Int].self, from: Data($0.utf8)) }
      imageSize = size.flatMap(Self.checked)
      return
    }
    guard case .string(let text)? = file.entry("options"), text.hasPrefix("{"),
      case .list(let items)? = file.contents(of: "names")
    else { return nil }
    names = items.compactMap(\.stringValue)
    var size: [Int]?
    if case .list(let items)? = file.contents(of: "image_size") { size = items.compactMap(\.intValue) }
    imageSize = size.flatMap(Self.checked)
  }

  private static func checked(_ size: [Int]) -> [Int]? {
    size.count == 2 && size.allSatisfy { (1...1 << 14).contains($0) } ? size : nil
  }
}

extension ClassifierTrainingOptions {
  /// What a run's file says of how it was trained; nil for any other file.
  /// - Throws: `ModelError` for options of another version.
  public init?(of file: Checkpoint) throws {
    guard case .string(let text)? = file.entry("options"), text.hasPrefix("{") else { return nil }
    try self.init(json: text, file: file.name)
  }

  package func json() throws -> String {
    let encoder = JSONEncoder()
    encoder.outputFormatting = [.sortedKeys]
    return String(decoding: try encoder.encode(self), as: UTF8.self)
  }

  package init(json: String, file: String) throws {
    do { self = try JSONDecoder().decode(ClassifierTrainingOptions.self, from: Data(json.utf8)) } catch {
      throw ModelError(.malformed, "its options are none that this version knows", file: file)
    }
  }
}
