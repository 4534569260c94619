import ArgumentParser
import ModelUtils

struct Init: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "init",
    abstract:
      "Builds and initialises an architecture as PyTorch would, or applies YOLO's initialize_weights to a model.",
    discussion: """
      A built-in architecture, a YOLOv5-style .yaml or one of a YOLOv6 network (family: yolov6, depth, width, mode, stage, \
      and what else the documentation lists) is built as its original's constructor does after torch.manual_seed, tensor for tensor, \
      and written as a state dict, or with --whole-module as one of the original's own objects: \
      torchvision's as torch.save(model) writes it, YOLOv5's under the key 'model' of a dict, where its attempt_load and train.py look for it. A file of whole modules keeps its weights: batch norms get eps 1e-3 and momentum 0.03, activations become \
      inplace.

      Examples:
        mutils init resnet50 --seed 1 -o resnet50.safetensors
        mutils init my-model.yaml --classes 3 -o my-model.pt
        mutils init my-yolov6.yaml --seed 1 -o my-yolov6.pt
        mutils init last.pt -o initialised.pt
      """)

  @OptionGroup var arguments: ModelArguments
  @OptionGroup var output: OutputOptions
  @OptionGroup var report: ReportOptions

  @Option(parsing: .unconditional, help: "The seed, as torch.manual_seed takes it.")
  var seed = SeedNumber(0)

  @Option(help: ArgumentHelp("How many classes an architecture tells apart. Default: its original's.", valueName: "n"))
  var classes: Int?

  @Flag(help: "Write an architecture's whole module into a .pt, as torch.save(model) does, not its state dict.")
  var wholeModule = false

  func validate() throws {
    guard !wholeModule || !output.writing.stateDict else {
      throw ValidationError("--whole-module and --state-dict exclude each other.")
    }
  }

  func run() throws {
    try report.withThreads {
      let architecture = try arguments.architecture()
      let destination = try output.destination(for: arguments.model, suffix: "initialised")
      var checkpoint: Checkpoint
      if let architecture {
        guard arguments.key == nil else {
          throw ModelError(.invalid, "only PyTorch files have keys to choose from", file: architecture.name)
        }
        if arguments.model == nil { report.note("no model given: using \(architecture.name)") }
        let module = try architecture.initialised(classes: classes, seed: seed.bits, isNeeded: destination != nil)
        checkpoint =
          wholeModule
          ? Checkpoint(whole: module, name: architecture.name) : Checkpoint(module, name: architecture.name)
        if wholeModule, try destination?.format(of: checkpoint) != .torch {
          throw ModelError(.invalid, "a whole module is written into a .pt alone", file: destination?.name)
        }
        // YOLOv5's tools look for their models there.
        if wholeModule, module.className.module.hasPrefix("models.") { checkpoint.nestModel(under: "model") }
      } else {
        guard !wholeModule else {
          throw ModelError(.invalid, "--whole-module goes with an architecture, not with a file", file: arguments.model)
        }
        guard classes == nil else {
          throw ModelError(.invalid, "--classes goes with an architecture, not with a file", file: arguments.model)
        }
        checkpoint = try arguments.open(report)
        try initialize(&checkpoint)
      }
      let saved = try output.save(checkpoint, to: destination, report)
      let parameters = checkpoint.preferred.modelInfo().parameters
      if report.json {
        try Results.print(json: InitResult(parameters: parameters, seed: seed, output: saved))
        return
      }
      let subject = architecture.map { "Built \($0.name) with seed \(seed)" } ?? "Initialised \(checkpoint.name)"
      Results.print("\(subject): \(FigureText.grouped(parameters)) parameters")
      Results.print(output.writing.told(saved))
    }
  }

  private func initialize(_ checkpoint: inout Checkpoint) throws {
    let name = checkpoint.name
    try checkpoint.updateModels { _, model in
      guard case .module(var module) = model else {
        throw ModelError(
          .unsupported,
          "is a bare state dict, which holds no eps, momentum or inplace", file: name,
          advice: "give a file of whole modules or an architecture's name")
      }
      module.initializeWeights()
      model = .module(module)
    }
  }
}

extension Architecture {
  /// In memory where the values are needed; else only built.
  fileprivate func initialised(classes: Int?, seed: UInt64, isNeeded: Bool) throws -> Module {
    guard isNeeded else { return try module(classes: classes, seed: seed) }
    var generator = TorchGenerator(seed: seed)
    return try module(classes: classes, using: &generator)
  }
}

private struct InitResult: Encodable {
  let parameters: Int
  let seed: SeedNumber
  let output: String?

  private enum Key: String, CodingKey { case parameters, seed, output }

  func encode(to encoder: any Encoder) throws {
    var container = encoder.container(keyedBy: Key.self)
    try container.encode(parameters, forKey: .parameters)
    try container.encode(seed, forKey: .seed)
    try container.encode(output, forKey: .output)
  }
}
