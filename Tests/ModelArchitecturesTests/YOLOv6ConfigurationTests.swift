import ModelArchitectures
import ModelCore
import TestSupport
import Testing

/// YOLOv6's networks by description: against `yolov6_yaml.tsv`, which `make_yolov6.py` beside it wrote with YOLOv6's own
/// code, and every refusal with its line.
@Suite struct YOLOv6ConfigurationTests {
  struct Golden: Sendable, CustomTestStringConvertible {
    let text: String
    let entries: Int
    let parameters: Int
    let values: String

    var testDescription: String { text }

    static let all: [Golden] = goldenRows("yolov6_yaml.tsv").map { parts in
      Golden(
        text: parts[0].split(separator: "; ").joined(separator: "\n"), entries: Int(parts[1]) ?? -1,
        parameters: Int(parts[2]) ?? -1, values: parts[3])
    }
  }

  private func architecture(_ text: String) throws -> Architecture {
    try Architecture(yaml: FileBytes(name: "net.yaml", copying: Array(text.utf8)))
  }

  @Test(arguments: Golden.all) func valuesOfSeed0(_ golden: Golden) throws {
    let module = try architecture("# ours\nfamily: yolov6\n" + golden.text).module()
    let state = module.stateDict()
    var count = 0
    module.forEachParameter { count += $1.tensor.count }
    #expect(state.tensors.count == golden.entries && count == golden.parameters)
    #expect(try Checksum.values(state) == golden.values)
  }

  @Test func thereAreGoldens() { #expect(Golden.all.count == 10) }

  /// A description of a network that has a name gives that network.
  @Test(arguments: [
    ("yolov6s", "depth: 0.33\nwidth: 0.5"), ("yolov6n6", "depth: 0.33\nwidth: 0.25\nlevels: 4"),
    ("yolov6n_base", "depth: 0.33\nwidth: 0.25\nmode: conv_relu\ndistributions: true"),
    ("yolov6n_opt", "depth: 0.33\nwidth: 0.25\nmode: repopt\nneck: pan\npooling: sppf"),
    (
      "yolov6m_qa",
      "depth: 0.6\nwidth: 0.75\nmode: qarepvggv2\nstage: bepc3\nshare: 0.66666666666666663\npooling: sppf\ndistributions: yes"
    ),
    (
      "yolov6s_mbla",
      "depth: 0.5\nwidth: 0.5\nmode: conv_silu\nstage: mbla\npooling: sppf\ndistributions: true\nblocks: [1, 4, 8, 8, 4]\nneck_blocks: 8"
    ),
  ])
  func namedOnes(_ name: String, _ text: String) throws {
    let described = try architecture("family: yolov6\nclasses: 2\n" + text)
    #expect(described.defaultClasses == 2 && described.name == "net.yaml")
    let (ours, known) = (
      try described.module().stateDict(), try Architecture(named: name).module(classes: 2).stateDict()
    )
    #expect(ours.names == known.names)
    #expect(ours.tensors.values.map(\.shape) == known.tensors.values.map(\.shape))
    func classNames(_ architecture: Architecture) throws -> [ClassName] {
      var names: [ClassName] = []
      try architecture.module(classes: 2).forEachModule { names.append($1.className) }
      return names
    }
    #expect(try classNames(described) == classNames(Architecture(named: name)))
  }

  @Test func recognition() {
    func isRecognized(_ text: String) -> Bool {
      Architecture.recognizes(yaml: FileBytes(name: "net", copying: Array(text.utf8)))
    }
    #expect(isRecognized("depth: 1\nfamily: yolov6") && isRecognized("backbone:\nhead:"))
    #expect(!isRecognized("  family: yolov6") && !isRecognized("family: \0") && !isRecognized("train: images"))
  }

  @Test(arguments: [
    ("width: 1", "net.yaml: has no 'depth'"), ("depth: 1", "net.yaml: has no 'width'"),
    ("depth: -1\nwidth: 1", "line 2: 'depth' must be a number from 0.0 to 100.0"),
    ("depth: 1\nwidth: 0", "line 3: 'width' must be a number from 0.001 to 100.0"),
    ("depth: deep\nwidth: 1", "line 2: 'depth' must be a number"),
    ("depht: 1\nwidth: 1", "line 2: 'depht' is no key of a YOLOv6 network; the nearest are depth"),
    ("depth: 1\ndepth: 1", "'depth' stands there twice"),
    ("mode: relu", "line 4: 'mode' must be repvgg, conv_relu, conv_silu, repopt, hyper_search, qarepvgg or qarepvggv2"),
    ("mode: [repvgg]", "line 4: 'mode' must be"), ("stage: csp", "line 4: 'stage' must be blocks, bepc3 or mbla"),
    ("neck: fpn", "line 4: 'neck' must be bifpan or pan"),
    ("pooling: spp", "line 4: 'pooling' must be cspsppf or sppf"),
    ("share: 0.5", "line 4: 'share' is of a stage's branches, which blocks have not"),
    ("stage: bepc3\nshare: 1.5", "line 5: 'share' must be a number from 0.125 to 1.0"),
    ("stage: bepc3\nshare: 0.1", "line 5: 'share' must be"),
    ("levels: 5", "line 4: 'levels' must be a whole number from 3 to 4"), ("levels: 3.0", "line 4: 'levels' must be"),
    ("levels: 4\nneck: pan", "line 5: networks of 4 levels have a neck of bifpan and no branch of anchors"),
    ("anchor_branch: true\nlevels: 4", "line 4: networks of 4 levels have a neck of bifpan and no branch of anchors"),
    ("stage: mbla\nlevels: 4", "line 4: networks of 4 levels have stages of blocks or bepc3"),
    ("distributions: 16", "line 4: 'distributions' must be true or false"),
    ("anchor_branch: 3", "line 4: 'anchor_branch' must be true or false"),
    ("classes: 0", "line 4: 'classes' must be a whole number from 1 to 1048576"), ("classes: 1.5", "'classes' must be"),
    ("blocks: [1, 6, 12, 18]", "line 4: 'blocks' must be a list of 5 whole numbers from 1 to 1000"),
    ("levels: 4\nblocks: [1, 6, 12, 18, 6]", "line 5: 'blocks' must be a list of 6 whole numbers from 1 to 1000"),
    ("blocks: [1, 6, 12, 18, 0]", "line 4: 'blocks' must be"), ("blocks: 6", "line 4: 'blocks' must be"),
    ("channels: [64, 128, 256, 512, 65537]", "line 4: 'channels' must be a list of 5 whole numbers from 1 to 65536"),
    ("neck_blocks: 1001", "line 4: 'neck_blocks' must be a whole number from 1 to 1000"),
    ("neck_channels: [1, 2, 3, 4, 5, x]", "line 4: 'neck_channels' must be a list of 6 whole numbers"),
  ])
  func refusals(_ text: String, _ reason: String) throws {
    let isWhole = text.contains("depth") || text.contains("width") || text.contains("depht")
    let text = "family: yolov6\n" + (isWhole ? "" : "depth: 1\nwidth: 1\n") + text
    let message = refusal { _ = try architecture(text) }
    #expect(message?.hasPrefix("net.yaml: ") == true && message?.contains(reason) == true, "\(message ?? "nothing")")
  }

  @Test func limits() throws {
    #expect(
      refusal { _ = try architecture("family: yolov6\ndepth: 100\nwidth: 1") }?.contains(
        "line 2: a stage would have 1800 blocks; up to 1000 are built") == true)
    #expect(
      refusal { _ = try architecture("family: yolov6\ndepth: 1\nwidth: 100") }?.contains(
        "line 3: a stage would have 102400 channels; up to 65536 are built") == true)
    #expect(
      refusal { _ = try architecture("family: yolov9\ndepth: 1\nwidth: 1") }?.contains(
        "line 1: 'family' must be yolov6")
        == true)
    #expect(refusal { _ = try architecture("family: yolov6\n- 1") } != nil)
    #expect(refusal { _ = try architecture("family:\n  - yolov6") }?.contains("'family' must be yolov6") == true)
  }
}
