import ArgumentParser
import ModelUtils

struct ProfileModels: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "profile",
    abstract: "Times models, and what they consist of.",
    discussion: """
      Runs models on random numbers and prints torch_utils' table: a line for each model and setting. A single one is taken apart: by \
      operation, and with --modules by module.

      Examples:
        mutils profile yolov5s.pt --image-size 640
        mutils profile yolov5n yolov5s --batch-size 1 8 --threads 1 2
      """)

  @Argument(
    help: "Files, YOLOv5-style .yaml or names of built-in architectures. Default: yolov5n.", completion: .file())
  var models: [String] = []

  @OptionGroup var report: TalkOptions

  @Option(
    parsing: .upToNextOption,
    help: ArgumentHelp(
      "Sizes of pictures in pixels. Default: what the model says of itself, 640 for YOLO's detectors, else 224.",
      valueName: "size"))
  var imageSize: [ImageSize] = []

  @Option(parsing: .upToNextOption, help: ArgumentHelp("How many pictures at once. Default: 1.", valueName: "n"))
  var batchSize: [Int] = []

  @OptionGroup var sizes: ShapeOptions

  @Option(
    parsing: .upToNextOption,
    help: ArgumentHelp("What to multiply in: float32, bfloat16. Default: float32.", valueName: "type"))
  var dtype: [Precision] = []

  @Option(
    parsing: .upToNextOption,
    help: ArgumentHelp("Numbers of threads. Default: all processors.", valueName: "n"))
  var threads: [Int] = []

  @Option(help: ArgumentHelp("How often each is timed.", valueName: "n"))
  var runs = 10

  @Flag(help: "Add a table of modules, with what they contain.")
  var modules = false

  func validate() throws {
    guard (1...100_000).contains(runs) else { throw ValidationError("--runs takes a number from 1 to 100000") }
    guard batchSize.allSatisfy({ (1...4096).contains($0) }) else {
      throw ValidationError("--batch-size takes numbers from 1 to 4096")
    }
    guard threads.allSatisfy({ (1...1024).contains($0) }) else {
      throw ValidationError("--threads takes numbers from 1 to 1024")
    }
    guard sizes.shape.isEmpty || (imageSize.isEmpty && batchSize.isEmpty) else {
      throw ValidationError("--shape says the whole shape; leave --image-size and --batch-size out")
    }
  }

  func run() throws {
    try report.withLog {
      var measured: [(model: String, profile: ModelProfile)] = []
      for name in models.isEmpty ? [ModelArguments.defaultArchitecture] : models {
        for measure in try measurements(of: name) {
          for precision in dtype.isEmpty ? [.float32] : dtype {
            for threads in threads.isEmpty ? [Parallel.threadCount] : threads {
              let profile = try Parallel.$threadCount.withValue(threads) { try measure(precision) }
              measured.append((name, profile))
            }
          }
        }
      }
      if report.json {
        try Results.print(json: ProfileResult(models: measured.map { ProfiledModel($0.model, $0.profile, modules) }))
        return
      }
      Results.print(ProfileTable.header + "  model")
      for (model, profile) in measured { Results.print("\(profile.row)  \(model.printable()), \(profile.setting)") }
      for (model, profile) in measured where measured.count == 1 || modules {
        Results.print("\n\(model.printable()), \(profile.setting): \(profile.summary)")
        Results.print(profile.operationTable)
        if modules { Results.print("\n" + profile.moduleTable) }
      }
    }
  }

  /// How to measure a model, for each size and batch.
  private func measurements(of name: String) throws -> [(Precision) throws -> ModelProfile] {
    if let model = try ModelSource.onnx(name) { return try measurements(of: model) }
    let checkpoint = try ModelSource.open(name, reading: .preferred)
    let module = try checkpoint.computableModule(report)
    return shapes(for: module).map { shapes in
      { precision in try checkpoint.named { try module.profile(shapes, precision: precision, runs: runs) } }
    }
  }

  private func measurements(of model: ONNXModel) throws -> [(Precision) throws -> ModelProfile] {
    let parameters = model.weightCounts.parameters
    let sizes: [ImageSize?] = imageSize.isEmpty ? [nil] : imageSize
    return try naming(model) {
      try sizes.flatMap { size in
        try (batchSize.isEmpty ? [1] : batchSize).map { batch in
          let trace = try model.trace(ONNXInputs(model, self.sizes, imageSize: size, batchSize: batch))
          if self.sizes.shape.isEmpty {
            report.note(
              sizes: trace.inputs.map(\.type.shape), imageSize: size, batchSize: batchSize.isEmpty ? nil : batch)
          }
          return { precision in
            try naming(model) { try trace.profile(parameters: parameters, precision: precision, runs: runs) }
          }
        }
      }
    }
  }

  private func naming<R>(_ model: ONNXModel, _ body: () throws -> R) throws -> R {
    do { return try body() } catch let error as ModelError { throw error.inFile(model.name) }
  }

  private func shapes(for module: Module) -> [[[Int]]] {
    guard sizes.shape.isEmpty else { return [sizes.shape.map(\.lengths)] }
    let sizes = imageSize.isEmpty ? [ImageSize(module.pictureSize)] : imageSize
    return sizes.flatMap { size in
      (batchSize.isEmpty ? [1] : batchSize).map { [[$0, module.inputChannels, size.height, size.width]] }
    }
  }
}

extension Precision: Choice {}

extension ModelProfile {
  fileprivate var setting: String {
    "\(threads) \(threads == 1 ? "thread" : "threads")" + (precision == .float32 ? "" : ", \(precision.rawValue)")
  }

  fileprivate var summary: String {
    let speed = steps.reduce(0) { $0 + $1.macs } * 2e-9 / forward.median
    return "\(forward)\n"
      + CFormat.string(
        "%.0f GFLOP/s, planned in %.0f ms, %.1f MB at its fullest", speed, planSeconds * 1000, Double(peakBytes) / 1e6)
  }

  /// Groups of steps by what they compute and how, the longest first.
  fileprivate var operationTable: String {
    var groups: OrderedDictionary<String, Group> = [:]
    for step in steps { groups["\(step.operation)\0\(step.implementation)", default: Group()].add(step) }
    let rows = groups.sorted { $0.value.seconds > $1.value.seconds }.map { key, group in
      let parts = key.split(separator: "\0", omittingEmptySubsequences: false)
      return group.line(of: total) + "  \(parts[0]) (\(parts[1]))"
    }
    return ([Group.header + "  operation (implementation)"] + rows).joined(separator: "\n")
  }

  /// Every module that something runs in, with what its children take, in the order of the first step.
  fileprivate var moduleTable: String {
    let rows = modules.map { $0.value.line(of: total) + "  \($0.key.isEmpty ? "." : $0.key.printable())" }
    return ([Group.header + "  module"] + rows).joined(separator: "\n")
  }

  fileprivate var modules: OrderedDictionary<String, Group> {
    var groups: OrderedDictionary<String, Group> = [:]
    for step in steps {
      let parts = step.path.split(separator: ".")
      for depth in 0...parts.count { groups[parts[..<depth].joined(separator: "."), default: Group()].add(step) }
    }
    return groups
  }

  private var total: Double { steps.reduce(0) { $0 + $1.seconds } }

  fileprivate struct Group {
    var (calls, seconds, macs) = (0, 0.0, 0.0)

    static let header = CFormat.string("%6s %10s %7s %9s", "steps", "ms", "share", "GFLOP/s")

    mutating func add(_ step: Step) {
      calls += 1
      seconds += step.seconds
      macs += step.macs
    }

    var speed: Double? { macs > 0 && seconds > 0 ? 2e-9 * macs / seconds : nil }

    func line(of total: Double) -> String {
      let share = total > 0 ? 100 * seconds / total : 0
      return CFormat.string("%6d %10.3f %6.1f", calls, seconds * 1000, share) + "%"
        + CFormat.string(" %9s", speed.map { CFormat.string("%.0f", $0) } ?? "-")
    }
  }
}

private struct ProfileResult: Encodable {
  let models: [ProfiledModel]
}

private struct ProfiledModel: Encodable {
  let model: String
  let parameters: Int
  let gflops: Double
  let forwardMs: Times
  /// There is no backward pass.
  let backwardMs = JSONNull()
  let peakBytes: Int
  let input: [[Int]]
  let output: [[Int]]
  let threads: Int
  let dtype: Precision
  let planMs: Double
  let operations: [Step]
  let modules: [ModuleTime]?

  struct JSONNull: Encodable {
    func encode(to encoder: any Encoder) throws {
      var container = encoder.singleValueContainer()
      try container.encodeNil()
    }
  }

  struct Times: Encodable {
    let median: Double
    let min: Double
    let max: Double
  }

  struct Step: Encodable {
    let path: String
    let operation: String
    let implementation: String
    let ms: Double
    let gflopsPerSecond: Double?
  }

  struct ModuleTime: Encodable {
    let name: String
    let steps: Int
    let ms: Double
    let gflopsPerSecond: Double?
  }

  init(_ model: String, _ profile: ModelProfile, _ withModules: Bool) {
    self.model = model
    parameters = profile.parameters
    gflops = profile.gflops.thop
    let forward = profile.forward
    forwardMs = Times(median: forward.median * 1e3, min: forward.minimum * 1e3, max: forward.maximum * 1e3)
    peakBytes = profile.peakBytes
    input = profile.inputs.map(\.shape)
    output = profile.outputs.map(\.shape)
    threads = profile.threads
    dtype = profile.precision
    planMs = profile.planSeconds * 1e3
    operations = profile.steps.map {
      Step(
        path: $0.path, operation: $0.operation, implementation: $0.implementation, ms: $0.seconds * 1e3,
        gflopsPerSecond: $0.macs > 0 && $0.seconds > 0 ? 2e-9 * $0.macs / $0.seconds : nil)
    }
    modules =
      withModules
      ? profile.modules.map {
        ModuleTime(name: $0.key, steps: $0.value.calls, ms: $0.value.seconds * 1e3, gflopsPerSecond: $0.value.speed)
      } : nil
  }
}
