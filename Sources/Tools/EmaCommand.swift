import ArgumentParser
import ModelUtils
import SystemPackage

struct Ema: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "ema",
    abstract: "Averages checkpoints: exponential moving averages and SWA.",
    discussion: """
      The first checkpoint starts the average, each further one is an update. With --resume the average, its count and its parameters come \
      from EMA and every checkpoint is an update. Variants: yolo (YOLOv5's and YOLOv6's ModelEMA), timm, timm-v2, timm-v3 (ModelEma, V2, V3), \
      mmyolo (ExpMomentumEMA), swa (the mean of all).

      Examples:
        mutils ema runs/epoch*.pt --variant swa -o mean.safetensors
        mutils ema more/epoch*.pt --resume mean.safetensors -o mean.safetensors --force

      --resume also takes the state of torch.optim.swa_utils.AveragedModel.
      """)

  @Argument(help: "The checkpoints, in order.", completion: .file())
  var checkpoints: [String]

  @Option(help: "yolo, timm, timm-v2, timm-v3, mmyolo or swa. Default: what --resume says, else yolo.")
  var variant: EmaVariant?

  @OptionGroup var options: EmaOptions

  @Option(help: ArgumentHelp("The average to go on from.", valueName: "ema"), completion: .file())
  var resume: String?

  @Flag(help: "List the share that each file has in the average.")
  var detailed = false

  @Flag(help: "Leave out checkpoints that hold NaN or infinities.")
  var skipNonFinite = false

  @Option(name: .shortAndLong, help: "The file to write; its extension picks the format.", completion: .file())
  var output: String

  @OptionGroup var writing: WritingOptions

  @Option(
    help: ArgumentHelp("Which object in each checkpoint is the model, such as 'model' or 'a.b'.", valueName: "key"))
  var key: String?

  @OptionGroup var report: ReportOptions

  func validate() throws {
    if let variant { try options.check(for: variant) }
  }

  func run() throws {
    try report.withThreads { try StreamedAverages.$isOn.withValue(true, operation: average) }
  }

  private func average() throws {
    let destination = try writing.destination(output)
    var file = try ModelSource.open(resume ?? checkpoints[0], key: resume == nil ? key : nil)
    var state = try start(&file)
    if file.models.count > 1 {
      report.note("\(file.name) holds several models: '\(file.preferredKey)' is averaged; --key chooses another")
    }
    var result = EmaResult(
      variant: state.variant.rawValue, first: resume ?? checkpoints[0], output: destination.name)
    let name = file.name
    var average: any ModelAverage
    do { average = try state.average(from: file.preferred) } catch let error as ModelError {
      throw error.inFile(name)
    }
    average.skipsNonFinite = skipNonFinite
    let before = average.updates
    let rest = checkpoints.dropFirst(resume == nil ? 1 : 0)
    let progress = report.progress("checkpoints", of: rest.count)
    defer { progress.finish() }
    for checkpoint in rest {
      try update(&average, with: checkpoint, &result)
      progress.step()
    }
    progress.finish()
    result.updates = try state.updates() + average.updates - before
    state.setUpdates(result.updates)
    try write(average.average, state, in: &file, to: destination)
    if let last = result.shares.last, result.shares.count > 1, last.share > 0.9 {
      report.note(
        "\(Text.threeDigits(100 * last.share)) % of the average is the last checkpoint: "
          + (state.variant == .yolo
            ? "this average's decay grows over thousands of updates; of finished checkpoints --variant swa gives the mean, and --tau or --updates let it begin later"
            : "--variant swa gives the mean of all"))
    }
    result.output = writing.place(of: destination)
    if report.json { return try Results.print(json: result) }
    Results.print(
      "Averaged \(FigureText.count(checkpoints.count, "checkpoint")), \(FigureText.count(result.updates, "update")) (\(state.variant.rawValue))"
    )
    if detailed {
      for entry in result.shares {
        Results.print(CFormat.string("%9.4f", 100 * entry.share) + " %  \(entry.checkpoint.printable())")
      }
    }
    Results.print(writing.told(result.output))
  }

  /// The variant and its parameters: what was asked for, else what the average to resume from says.
  private func start(_ file: inout Checkpoint) throws -> EmaState {
    var resumed = resume == nil ? [:] : Self.state(in: file)
    if resume != nil, let (average, count) = AveragedModel.state(in: file.preferred) {
      guard count > 0 else {
        throw ModelError(.invalid, "its n_averaged is 0, so it is no average yet", file: file.name)
      }
      resumed.merge(["variant": EmaVariant.swa.rawValue, "updates": String(count - 1)]) { old, _ in old }
      file = Checkpoint(average, name: file.name)
    }
    let known = resumed["variant"].flatMap { EmaVariant(rawValue: $0) }
    if let known, let variant, known != variant {
      throw ModelError(
        .mismatch, "holds an average of the variant \(known.rawValue), not \(variant.rawValue)", file: file.name)
    }
    let variant = variant ?? known ?? .yolo
    try options.check(for: variant)
    if resume != nil, resumed["updates"] == nil, options.updates == nil, variant != .timm, variant != .timmV2 {
      throw ModelError(
        .missing,
        "does not say how many updates the average has had", file: file.name, advice: "give --updates")
    }
    return EmaState(options, variant: variant, resumed: resumed)
  }

  private func update(_ average: inout any ModelAverage, with checkpoint: String, _ result: inout EmaResult) throws {
    do {
      let model = try ModelSource.open(checkpoint, key: key, reading: .preferred).preferred
      let done = try average.update(model, step: average.updates + 1)
      if !done.nonFinite.isEmpty {
        let names = done.nonFinite.prefix(5).map { $0.printable() }.joined(separator: ", ")
        report.note(
          "\(checkpoint): NaN or infinities in \(names)\(done.nonFinite.count > 5 ? ", …" : "")"
            + (done.isSkipped ? "; left out" : ""))
      }
      if done.isSkipped {
        result.skipped.append(.init(checkpoint: checkpoint, tensors: done.nonFinite))
      } else {
        result.add(checkpoint, decay: done.decay)
      }
    } catch let error as ModelError { throw error.inFile(checkpoint) }
  }

  /// What `write` left beside the weights.
  private static func state(in file: Checkpoint) -> [String: String] {
    var state: [String: String] = [:]
    for (key, value) in file.metadata where key.hasPrefix("ema.") {
      state[String(key.dropFirst(4))] = value
    }
    if let count = file.entry("updates")?.intValue { state["updates"] = String(count) }
    for key in keys {
      if let text = file.entry("ema.\(key)")?.stringValue { state[key] = text }
    }
    return state
  }

  private static let keys = [
    "variant", "decay", "tau", "momentum", "gamma", "interval", "update_buffers", "min_decay", "update_after_step",
    "use_warmup", "warmup_gamma", "warmup_power", "exclude_buffers",
  ]

  private func write(_ average: Model, _ state: EmaState, in file: inout Checkpoint, to destination: Destination) throws
  {
    var values = state.values
    values["variant"] = state.variant.rawValue
    if try destination.format(of: file) == .safetensors {
      file.preferred = average
      for (key, value) in values { file.metadata["ema.\(key)"] = value }
      try writing.put(file, at: destination)
      return
    }
    if writing.stateDict {
      file =
        average.module.map { Checkpoint($0, name: file.name) } ?? Checkpoint(average.stateDict(), name: file.name)
    }
    file.nestModel(under: "ema")
    let key = file.preferredKey
    file.updateModels { name, model in
      if name == key { model = average }
    }
    try file.setEntry("updates", to: .int(try state.updates()))
    for (key, value) in values.sorted(by: { $0.key < $1.key }) where key != "updates" {
      try file.setEntry("ema.\(key)", to: .string(value))
    }
    try writing.put(file, at: destination)
  }
}

private struct EmaResult: Encodable {
  struct Skipped: Encodable {
    let checkpoint: String
    let tensors: [String]
  }

  struct Share: Encodable {
    let checkpoint: String
    var share: Double
  }

  let variant: String
  var updates = 0
  /// The share of the old average in the last update; null where there was none.
  private(set) var decay: Double?
  /// What each file makes up of the average; the one that it started from first.
  private(set) var shares: [Share]
  var skipped: [Skipped] = []
  var output: String

  init(variant: String, first: String, output: String) {
    (self.variant, self.output) = (variant, output)
    shares = [Share(checkpoint: first, share: 1)]
  }

  mutating func add(_ checkpoint: String, decay: Double) {
    self.decay = decay
    for index in shares.indices { shares[index].share *= decay }
    shares.append(Share(checkpoint: checkpoint, share: 1 - decay))
  }

  private enum Key: String, CodingKey { case variant, updates, decay, shares, skipped, output }

  func encode(to encoder: any Encoder) throws {
    var container = encoder.container(keyedBy: Key.self)
    try container.encode(variant, forKey: .variant)
    try container.encode(updates, forKey: .updates)
    try container.encode(decay, forKey: .decay)
    try container.encode(shares, forKey: .shares)
    try container.encode(skipped, forKey: .skipped)
    try container.encode(output, forKey: .output)
  }
}
