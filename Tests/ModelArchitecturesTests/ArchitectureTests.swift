import ModelArchitectures
import ModelCore
import ModelGraph
import ModelRandom
import Testing

/// Against `architectures.tsv`, which `make_architectures.py` beside it wrote with torchvision and YOLOv5.
@Suite struct ArchitectureTests {
  struct Golden: Sendable, CustomTestStringConvertible {
    let name: String
    let layers: Int
    let parameters: Int
    let structure: String
    let values: String

    var testDescription: String { name }

    static let all: [Golden] = goldenRows("architectures.tsv").map { parts in
      Golden(
        name: parts[0], layers: Int(parts[1]) ?? 0, parameters: Int(parts[2]) ?? 0, structure: parts[3],
        values: parts[4])
    }
  }

  @Test func everyArchitectureHasAGolden() {
    // YOLOv6's have theirs in a table of their own.
    #expect(Golden.all.map(\.name).sorted() == Architecture.names.filter { !$0.hasPrefix("yolov6") }.sorted())
  }

  @Test(arguments: Golden.all)
  func structure(_ golden: Golden) throws {
    let module = try Architecture(named: golden.name).module()
    var (layers, parameters) = (0, 0)
    module.forEachModule { _, module in
      layers += 1
      #expect(module.isTraining)
    }
    module.forEachParameter { _, parameter in
      parameters += parameter.tensor.count
      #expect(parameter.requiresGrad)
    }
    #expect(layers == golden.layers && parameters == golden.parameters)
    #expect(Checksum.structure(module.stateDict()) == golden.structure)
  }

  @Test(arguments: Golden.all.filter { $0.values != "-" })
  func valuesOfSeed0(_ golden: Golden) throws {
    var generator = TorchGenerator(seed: 0)
    let module = try Architecture(named: golden.name).module(using: &generator)
    #expect(try Checksum.values(module.stateDict()) == golden.values)
  }

  @Test func valuesComeWhenTheyAreRead() throws {
    let lazy = try Architecture(named: "squeezenet1_1").module(seed: 5).stateDict()
    var generator = TorchGenerator(seed: 5)
    let eager = try Architecture(named: "squeezenet1_1").module(using: &generator).stateDict()
    #expect(try Checksum.values(lazy) == Checksum.values(eager))
    #expect(try lazy["features.0.weight"]?.floats() == eager["features.0.weight"]?.floats(), "again")
  }

  /// What is overwritten is passed over in the generator: it must go on where the original's would.
  @Test func theGeneratorGoesOn() throws {
    var generator = TorchGenerator(seed: 0)
    _ = try Architecture(named: "squeezenet1_1").module(classes: 10, using: &generator)
    // torch.manual_seed(0); squeezenet1_1(num_classes=10); torch.rand(3)
    #expect((0..<3).map { _ in generator.uniformFloat32() } == [0.68927234, 0.3369122, 0.019613802])
  }

  @Test func classes() throws {
    for (name, last) in [
      ("resnet18", "fc"), ("vgg11", "classifier.6"), ("densenet121", "classifier"), ("squeezenet1_0", "classifier.1"),
      ("yolov5n-cls", "model.9.linear"), ("googlenet", "aux2.fc2"),
    ] {
      let module = try Architecture(named: name).module(classes: 7)
      #expect(module[last]?.parameters["weight"]?.tensor.shape[0] == 7)
    }
    let detector = try Architecture(named: "yolov5n").module(classes: 3)
    #expect(detector["model.24.m.0"]?.parameters["bias"]?.tensor.shape == [24])
    #expect(detector.attributes["names"] == .list([.string("0"), .string("1"), .string("2")]))
  }

  @Test(arguments: [0, -1, 1 << 21, Int.max])
  func refusedClasses(_ count: Int) throws {
    let architecture = try Architecture(named: "resnet18")
    #expect {
      try architecture.module(classes: count)
    } throws: { error in
      "\(error)" == "resnet18: the number of classes must be from 1 to 1048576, not \(count)"
    }
  }

  @Test(arguments: [
    ("resnet51", "resnet50"), ("yolov5", "yolov5n, yolov5s, yolov5m"), ("RESNET18", "resnet18"), ("", "vgg"),
  ])
  func unknownNames(_ name: String, nearest: String) {
    #expect {
      try Architecture(named: name)
    } throws: { error in
      "\(error)".contains("there is no architecture of this name") && "\(error)".contains(nearest)
    }
  }

  @Test func sharedActivation() throws {
    let yolo = try Architecture(named: "yolov5n").module()
    #expect(yolo["model.0.act"]?.identity == yolo["model.2.m.0.cv1.act"]?.identity)
    #expect(yolo["model.0.act"]?.layer == .activation(Activation(.silu, isInPlace: true)))
  }

  /// The list of a detector's layers is never called itself, which makes it no part that is traced for itself.
  @Test func aDetectorIsTracedOnce() throws {
    #expect(Graph.known(in: try Architecture(named: "yolov5n").module()).graphs.count == 1)
  }

  @Test func attributesOfADetector() throws {
    let yolo = try Architecture(named: "yolov5n6").module()
    #expect(yolo.className.description == "models.yolo.DetectionModel")
    #expect(
      yolo.attributes["save"]?.intsValue == [4, 6, 8, 12, 16, 20, 23, 26, 29, 32])
    #expect(yolo["model.33"]?.attributes["stride"]?.doublesValue == [8, 16, 32, 64])
    #expect(yolo.attributes["stride"] == yolo["model.33"]?.attributes["stride"])
    #expect(yolo.attributes["yaml_file"] == .string("yolov5n6.yaml"))
    let description = try #require(yolo.attributes["yaml"]?.entriesValue)
    #expect(
      description.map(\.key)
        == ["nc", "depth_multiple", "width_multiple", "anchors", "backbone", "head", "ch"].map { .string($0) })
    // The head's second line.
    guard case .list(let rows) = description[5].value else { return }
    #expect(
      rows[1]
        == .list([
          .int(-1), .int(1), .string("nn.Upsample"), .list([.string("None"), .int(2), .string("nearest")]),
        ]))
    #expect(yolo["model.33"]?.attributes["f"]?.intsValue == [23, 26, 29, 32])
    #expect(yolo["model.2"]?.attributes["type"] == .string("models.common.C3"))
    #expect(yolo["model.2"]?.attributes["np"] == .int(4800))
    guard case .batchNorm(let norm)? = yolo["model.0.bn"]?.layer else {
      Issue.record("no batch norm")
      return
    }
    #expect(norm.eps == 1e-3 && norm.momentum == 0.03)
  }
}
