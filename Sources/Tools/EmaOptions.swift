import ArgumentParser
import ModelUtils

enum EmaVariant: String, Choice {
  case yolo, timm
  case timmV2 = "timm-v2"
  case timmV3 = "timm-v3"
  case mmyolo, swa
}

/// The parameters of the averages; each belongs to some of them.
struct EmaOptions: ParsableArguments {
  @Option(help: "The decay of yolo (where it is reached in the end) and timm. Default: 0.9999.")
  var decay: Double?

  @Option(help: "yolo: after so many updates the decay has reached 63 %. Default: 2000.")
  var tau: Double?

  @Option(help: "How many updates the average has had already. Default: what --resume says, else 0.")
  var updates: Int?

  @Option(help: "mmyolo: the share of the model in the end. Default: 0.0002.")
  var momentum: Double?

  @Option(help: "mmyolo: how slowly that share falls. Default: 2000.")
  var gamma: Double?

  @Option(help: "mmyolo: average at every n-th update. Default: 1.")
  var interval: Int?

  @Flag(help: "mmyolo, swa: average buffers too rather than copying them.")
  var updateBuffers = false

  @Flag(help: "timm-v3: the decay grows from 0.")
  var warmup = false

  @Option(help: "timm-v3: the gamma of the warm-up. Default: 1.")
  var warmupGamma: Double?

  @Option(help: "timm-v3: the power of the warm-up. Default: 2/3.")
  var warmupPower: Double?

  @Option(help: "timm-v3: the least decay during the warm-up. Default: 0.")
  var minDecay: Double?

  @Option(help: "timm-v3: copy the model up to this update. Default: 0.")
  var updateAfterStep: Int?

  @Flag(help: "timm-v3: copy buffers rather than averaging them.")
  var excludeBuffers = false

  func validate() throws {
    if let decay, !(0...1).contains(decay) { throw ValidationError("--decay takes a number from 0 to 1") }
    if let tau, !(tau > 0) { throw ValidationError("--tau takes a number above 0") }
    if let updates, !(0...1 << 53).contains(updates) { throw ValidationError("--updates takes a count") }
    if let gamma, !(gamma > 0) { throw ValidationError("--gamma takes a number above 0") }
    if let interval, interval < 1 { throw ValidationError("--interval takes a number from 1") }
    if let momentum, !(momentum > 0 && momentum < 1) {
      throw ValidationError("--momentum takes a number between 0 and 1")
    }
    if let warmupGamma, !(warmupGamma > 0) { throw ValidationError("--warmup-gamma takes a number above 0") }
    if let minDecay, !(0...1).contains(minDecay) { throw ValidationError("--min-decay takes a number from 0 to 1") }
  }

  /// - Throws: `ValidationError` for an option of another variant.
  func check(for variant: EmaVariant) throws {
    let timm: [EmaVariant] = [.timm, .timmV2, .timmV3]
    let given: [(String, Bool, [EmaVariant])] = [
      ("--decay", decay != nil, [.yolo] + timm), ("--tau", tau != nil, [.yolo]),
      ("--momentum", momentum != nil, [.mmyolo]),
      ("--gamma", gamma != nil, [.mmyolo]), ("--interval", interval != nil, [.mmyolo]),
      ("--update-buffers", updateBuffers, [.mmyolo, .swa]), ("--warmup", warmup, [.timmV3]),
      ("--warmup-gamma", warmupGamma != nil, [.timmV3]), ("--warmup-power", warmupPower != nil, [.timmV3]),
      ("--min-decay", minDecay != nil, [.timmV3]), ("--update-after-step", updateAfterStep != nil, [.timmV3]),
      ("--exclude-buffers", excludeBuffers, [.timmV3]),
    ]
    for (name, isGiven, variants) in given where isGiven && !variants.contains(variant) {
      throw ValidationError("\(name) is no parameter of --variant \(variant.rawValue)")
    }
  }
}

/// An average with its parameters, as it is written beside the weights and read again.
struct EmaState {
  let variant: EmaVariant
  /// Everything that a resumed run needs, as text: `updates`, `decay`, ….
  private(set) var values: [String: String]

  init(_ options: EmaOptions, variant: EmaVariant, resumed: [String: String]) {
    self.variant = variant
    var values: [String: String] = [:]
    func set(_ key: String, _ given: (any LosslessStringConvertible)?, _ standard: (any LosslessStringConvertible)) {
      values[key] = given.map { $0.description } ?? resumed[key] ?? standard.description
    }
    set("updates", options.updates, 0)
    switch variant {
    case .yolo:
      set("decay", options.decay, 0.9999)
      set("tau", options.tau, 2000.0)
    case .timm, .timmV2: set("decay", options.decay, 0.9999)
    case .timmV3:
      set("decay", options.decay, 0.9999)
      set("min_decay", options.minDecay, 0.0)
      set("update_after_step", options.updateAfterStep, 0)
      set("use_warmup", options.warmup ? true : nil, false)
      set("warmup_gamma", options.warmupGamma, 1.0)
      set("warmup_power", options.warmupPower, 2.0 / 3)
      set("exclude_buffers", options.excludeBuffers ? true : nil, false)
    case .mmyolo:
      set("momentum", options.momentum, 0.0002)
      set("gamma", options.gamma, 2000.0)
      set("interval", options.interval, 1)
      set("update_buffers", options.updateBuffers ? true : nil, false)
    case .swa: set("update_buffers", options.updateBuffers ? true : nil, false)
    }
    self.values = values
  }

  private func number(_ key: String) throws -> Double {
    guard let value = values[key].flatMap({ Double($0) }) else { throw unreadable(key) }
    return value
  }

  private func count(_ key: String) throws -> Int {
    guard let value = values[key].flatMap({ Int($0) }), (0...1 << 53).contains(value) else { throw unreadable(key) }
    return value
  }

  private func unreadable(_ key: String) -> ModelError {
    ModelError(.malformed, "the state to resume from says '\(values[key] ?? "")' of \(key)")
  }

  /// How many updates the average has had: the model that it started from is none.
  func updates() throws -> Int { try count("updates") }

  /// The average that starts or goes on from `model`, which mmyolo and SWA count as their first.
  func average(from model: Model) throws -> any ModelAverage {
    let updates = try updates()
    switch variant {
    case .yolo: return try ModelEMA(model, decay: number("decay"), tau: number("tau"), updates: updates)
    case .timm: return try ModelEma(model, decay: number("decay"), updates: updates)
    case .timmV2: return try ModelEmaV2(model, decay: number("decay"), updates: updates)
    case .timmV3:
      return try ModelEmaV3(
        model, decay: number("decay"), minDecay: number("min_decay"), updateAfterStep: count("update_after_step"),
        useWarmup: values["use_warmup"] == "true", warmupGamma: number("warmup_gamma"),
        warmupPower: number("warmup_power"), excludeBuffers: values["exclude_buffers"] == "true", updates: updates)
    case .mmyolo:
      return try ExpMomentumEMA(
        model, momentum: number("momentum"), gamma: number("gamma"), interval: count("interval"),
        updateBuffers: values["update_buffers"] == "true", steps: updates + 1)
    case .swa:
      return try AveragedModel(model, useBuffers: values["update_buffers"] == "true", updates: updates + 1)
    }
  }

  /// The values after the updates of `average`.
  mutating func setUpdates(_ updates: Int) { values["updates"] = String(updates) }
}
