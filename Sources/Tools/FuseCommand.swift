import ArgumentParser
import ModelUtils

struct Fuse: ParsableCommand {
  static let configuration = CommandConfiguration(
    abstract: "Fuses batch norms into the convolutions before them.",
    discussion: """
      Only pairs that are proved are fused: by the known forward of a class, or by the order inside a Sequential. The others are listed with \
      a reason. A bare state dict proves nothing: name its pairs with --pair and give the eps of their batch norms.

      Examples:
        mutils fuse yolov5s.pt -o fused.pt
        mutils fuse resnet50.pth --pair conv1=bn1 --pair 'layer*.conv?=layer*.bn?' \
      --pair 'layer*.downsample.0=layer*.downsample.1' --eps 1e-5
      """)

  @OptionGroup var arguments: ModelArguments
  @OptionGroup var output: OutputOptions
  @OptionGroup var report: ReportOptions

  @Option(
    help: ArgumentHelp(
      "A convolution and its batch norm in a bare state dict; wildcards of both sides stand for the same text.",
      valueName: "CONV=BN"))
  var pair: [String] = []

  @Option(help: "The eps of the batch norms of --pair (PyTorch's default is 1e-5, YOLO's models use 1e-3).")
  var eps: Double?

  @Flag(help: "Keep the prefixes module. and _orig_mod. in the names of a state dict.")
  var keepPrefix = false

  func run() throws {
    try report.withThreads {
      var checkpoint = try arguments.open(report)
      let destination = try output.destination(for: arguments, suffix: "fused")
      var reports: [FusionReport] = []
      let name = checkpoint.name
      try checkpoint.updateModels { _, model in
        do { reports.append(try fuse(&model)) } catch let error as ModelError { throw error.inFile(name) }
      }
      guard let result = reports.first else { return }
      if !result.fused.isEmpty { checkpoint.dropOptimizer() }
      if let destination {
        try checkpoint.write(to: destination, stateDictOnly: output.stateDict, maxShardSize: output.maxShardSize?.bytes)
      }
      try show(result, destination?.string)
    }
  }

  private func fuse(_ model: inout Model) throws -> FusionReport {
    try model.update(module: fuse, stateDict: fuse)
  }

  private func fuse(_ module: inout Module) throws -> FusionReport {
    guard pair.isEmpty, eps == nil else {
      throw ModelError("holds whole modules, which say themselves what is fused", advice: "leave out --pair and --eps")
    }
    return try module.fuse()
  }

  private func fuse(_ state: inout StateDict) throws -> FusionReport {
    guard !pair.isEmpty else {
      throw ModelError(
        "is a bare state dict, which does not say what follows what",
        advice: "name the pairs with --pair 'CONV=BN' and give --eps")
    }
    guard let eps else {
      throw ModelError(
        "eps is not in a state dict", advice: "give --eps (PyTorch's default is 1e-5, YOLO's models use 1e-3)")
    }
    if !keepPrefix {
      let prefix = state.removeWrapperPrefixes()
      if !prefix.isEmpty { report.note("the prefix '\(prefix)' was removed from all names") }
    }
    return try state.fuse(try pair.map(PairPattern.init), eps: eps)
  }

  private func show(_ result: FusionReport, _ path: String?) throws {
    if report.json {
      try Terminal.print(json: FuseResult(result: result, output: path))
      return
    }
    Terminal.print(result.description)
    for refusal in result.refused {
      let subject = refusal.conv.isEmpty ? refusal.bn : "\(refusal.conv) + \(refusal.bn)"
      Terminal.print("  not fused: \(subject.printable()): \(refusal.reason.printable())")
    }
    if let path { Terminal.print("Saved \(path)") }
  }
}

private struct FuseResult: Encodable {
  let result: FusionReport
  let output: String?

  private enum Key: String, CodingKey { case output }

  func encode(to encoder: any Encoder) throws {
    try result.encode(to: encoder)
    var container = encoder.container(keyedBy: Key.self)
    try container.encode(output, forKey: .output)
  }
}
