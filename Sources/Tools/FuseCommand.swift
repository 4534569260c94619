import ArgumentParser
import ModelUtils

struct Fuse: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "fuse",
    abstract: "Fuses batch norms into the convolutions before them.",
    discussion: """
      Only pairs that are proved are fused: by the known forward of a class, or by the order inside a Sequential. The others are listed with \
      a reason. A bare state dict proves nothing: name its pairs with --pair and give the eps of their batch norms. In whole modules of classes \
      that are not known --pair names them too; eps is theirs.

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
      "A convolution and its batch norm, by name; wildcards of both sides stand for the same text.",
      valueName: "CONV=BN"))
  var pair: [String] = []

  @Option(help: "The eps of the batch norms of --pair (PyTorch's default is 1e-5, YOLO's models use 1e-3).")
  var eps: Double?

  @Flag(help: "Merge the branches of RepVGG-style blocks (YOLOv6, YOLOv7, YOLOv9, YOLOv10) first.")
  var reparameterize = false

  @Flag(help: "Keep the prefixes module. and _orig_mod. in the names of a state dict.")
  var keepPrefix = false

  func run() throws {
    try report.withThreads {
      var checkpoint = try arguments.open(report)
      let destination = try output.destination(for: arguments, suffix: "fused")
      var reports: [Results] = []
      let name = checkpoint.name
      try checkpoint.updateModels { _, model in
        do { reports.append(try fuse(&model)) } catch let error as ModelError { throw error.inFile(name) }
      }
      guard let result = reports.first else { return }
      if result.fusion.isOrderGiven {
        report.note("that each batch norm takes its convolution's output alone is your word")
      }
      if !result.fusion.fused.isEmpty || !result.merging.merged.isEmpty { checkpoint.dropOptimizer() }
      if let destination {
        try output.writing.write(checkpoint, to: destination, report)
      }
      try show(result, destination?.string)
    }
  }

  private struct Results {
    var fusion: FusionReport
    var merging = ReparameterizationReport()
  }

  private func fuse(_ model: inout Model) throws -> Results {
    try model.update(module: fuse, stateDict: { Results(fusion: try fuse(&$0)) })
  }

  private func fuse(_ module: inout Module) throws -> Results {
    guard eps == nil else {
      throw ModelError(.invalid, "holds whole modules, which know their eps", advice: "leave out --eps")
    }
    let before = module.parameterCount
    let merging = reparameterize ? try module.reparameterize() : ReparameterizationReport()
    var fusion = try pair.isEmpty ? module.fuse() : module.fuse(try pair.map(PairPattern.init))
    fusion.parametersBefore = before
    return Results(fusion: fusion, merging: merging)
  }

  private func fuse(_ state: inout StateDict) throws -> FusionReport {
    if !keepPrefix {
      let prefix = state.removeWrapperPrefixes()
      if !prefix.isEmpty { report.note("the prefix '\(prefix)' was removed from all names") }
    }
    if pair.isEmpty, !reparameterize, let known = state.recognized() {
      guard eps == nil else {
        throw ModelError(
          .invalid, "is \(known.architecture.name), whose eps is known",
          advice: "leave out --eps, or name the pairs with --pair")
      }
      report.note("recognised as \(known.architecture.name) with \(known.classes) classes")
      return try state.fuse()
    }
    guard !reparameterize else {
      throw ModelError(
        .unsupported,
        "is a bare state dict, which does not say what its branches are", advice: "leave out --reparameterize")
    }
    guard !pair.isEmpty else {
      throw ModelError(
        .unsupported,
        "is a bare state dict of no known architecture, which does not say what follows what",
        advice: "name the pairs with --pair 'CONV=BN' and give --eps")
    }
    guard let eps else {
      throw ModelError(
        .missing,
        "eps is not in a state dict", advice: "give --eps (PyTorch's default is 1e-5, YOLO's models use 1e-3)")
    }
    return try state.fuse(try pair.map(PairPattern.init), eps: eps)
  }

  private func show(_ results: Results, _ path: String?) throws {
    let result = results.fusion
    if report.json {
      try Terminal.print(
        json: FuseResult(result: result, reparameterized: reparameterize ? results.merging : nil, output: path))
      return
    }
    if reparameterize { Terminal.print("Merged the branches of \(results.merging.merged.count) blocks") }
    for refusal in results.merging.refused {
      Terminal.print("  not merged: \(refusal.name.printable()): \(refusal.reason.printable())")
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
  let reparameterized: ReparameterizationReport?
  let output: String?

  private enum Key: String, CodingKey { case output, reparameterized }

  func encode(to encoder: any Encoder) throws {
    try result.encode(to: encoder)
    var container = encoder.container(keyedBy: Key.self)
    try container.encodeIfPresent(reparameterized, forKey: .reparameterized)
    try container.encode(output, forKey: .output)
  }
}
