import ModelUtils
import Testing

@Suite struct Errors {
  func open(_ path: String) throws -> Checkpoint? {
    do {
      return try Checkpoint(contentsOf: path)
    } catch let error as ModelError {
      switch error.kind {
      case .missing: return nil
      case .unsafe, .malformed: print("refused:", error.reason)
      default: print(error)
      }
      throw error
    }
  }

  @Test func deciding() throws {
    #expect(try open("no-such-file.pt") == nil)
  }

  @Test func describing() {
    let error = ModelError(
      .mismatch, "shape [10, 512] against [1000, 512]", file: "resnet18.pth", subject: "fc.weight",
      advice: "give --classes 1000")
    print(error)
    #expect(
      error.description
        == "resnet18.pth: fc.weight: shape [10, 512] against [1000, 512]; give --classes 1000")
  }

  @Test func adding() throws {
    func weight(in state: StateDict, of file: String) throws -> Tensor {
      guard let weight = state["weight"] else {
        throw ModelError(.missing, "is not there").about("weight").inFile(file)
      }
      return weight
    }
    #expect(throws: ModelError(.missing, "is not there", file: "a.pt", subject: "weight")) {
      try weight(in: StateDict(), of: "a.pt")
    }
  }

  @Test func left() throws {
    var net = try smallNet()
    let before = net.stateDict()

    #expect(throws: ModelError.self) { try net.fuse([PairPattern("0=nothing")]) }
    #expect(try StateDictDiff(before, net.stateDict()).equal)
  }
}
