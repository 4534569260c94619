import ModelCheckpoints
import ModelCore
import TestSupport
import Testing

/// Each way in which a pickle can be malformed, and what is said of it.
@Suite struct PickleRefusalTests {
  static let noStop = "the pickle is truncated: it has no STOP"
  static let cut = "the file is truncated"
  static let empty = "the pickle is damaged: its stack is empty"
  static let noMark = "the pickle is damaged: a MARK is missing"

  @Test(
    arguments: [
      ("", noStop), ("N", noStop), ("\u{80}\u{2}", noStop), (".", empty), ("(.", empty), ("N(.", empty), ("N0.", empty),
      // Lengths that reach beyond the end
      ("\u{80}", cut), ("K", cut), ("M\0", cut), ("J\0\0\0", cut), ("G\0\0\0\0\0\0\0", cut), ("\u{8a}\u{1}", cut),
      ("\u{8a}", cut), ("\u{8b}\u{1}\0\0\0", cut), ("X\u{ff}\u{ff}\u{ff}\u{ff}", cut), ("X\u{1}\0\0\0", cut),
      ("\u{8c}\u{2}a", cut), ("\u{8d}\u{3}\0\0\0\0\0\0\0ab", cut), ("U\u{1}", cut), ("T\u{5}\0\0\0abc", cut),
      ("C\u{9}abc", cut), ("B\u{ff}\u{ff}\u{ff}\u{7f}abc", cut), ("\u{8e}\u{ff}\0\0\0\0\0\0\0abc", cut),
      ("\u{96}\u{1}\0\0\0\0\0\0\0", cut), ("q", cut), ("r\0\0\0", cut), ("h", cut), ("j\0", cut),
      ("\u{95}\0\0\0", cut), ("I1", cut), ("F1", cut), ("L1", cut), ("S'a'", cut), ("Va", cut), ("p1", cut),
      ("g1", cut),
      ("cos", cut), ("cos\nsystem", cut), ("(ios\n", cut),
      ("\u{8d}\u{ff}\u{ff}\u{ff}\u{ff}\u{ff}\u{ff}\u{ff}\u{ff}", "a size exceeds 2^63"),
      ("\u{8e}\0\0\0\0\0\0\0\u{80}", "a size exceeds 2^63"), ("\u{95}\0\0\0\0\0\0\0\u{80}", "a size exceeds 2^63"),
      ("\u{96}\0\0\0\0\0\0\0\u{ff}", "a size exceeds 2^63"),
      ("\u{8d}\u{ff}\u{ff}\u{ff}\u{ff}\u{ff}\u{ff}\u{ff}\u{7f}", cut),
      ("\u{8b}\u{ff}\u{ff}\u{ff}\u{ff}.", "the pickle is damaged: a negative length"),
      ("T\u{ff}\u{ff}\u{ff}\u{ff}.", "the pickle is damaged: a negative length"),
      // Numbers and text
      ("I\n.", "the pickle holds the integer ''"), ("Ix\n.", "the pickle holds the integer 'x'"),
      ("L\n.", "the pickle holds the integer ''"), ("L1.5L\n.", "the pickle holds the integer '1.5'"),
      ("I1_000\n.", "the pickle holds the integer '1_000'"),
      ("I99999999999999999999x\n.", "the pickle holds the integer"),
      ("F\n.", "the pickle holds the number ''"), ("Fabc\n.", "the pickle holds the number 'abc'"),
      ("I\u{e9}\n.", "a long or non-ASCII number"), ("Fé\n.", "a long or non-ASCII number"),
      ("V\\u12\n.", "bad text escape"), ("V\\uzzzz\n.", "bad text escape"), ("V\\U00110000\n.", "bad text escape"),
      ("V\\u+123\n.", "bad text escape"), ("Sab\n.", "bad string literal"), ("S'ab\"\n.", "bad string literal"),
      ("S'\n.", "bad string literal"), ("S'\\'\n.", "bad string literal"), ("S'\\x4'\n.", "bad string literal"),
      ("S'\\x+4'\n.", "bad string literal"),
      // Frames
      ("\u{95}\u{3}\0\0\0\0\0\0\0N.", "a frame is cut off"),
      ("\u{95}\u{3}\0\0\0\0\0\0\0ca\nb\n.", "a frame ends within an instruction"),
      ("\u{95}\u{1}\0\0\0\0\0\0\0K\u{1}.", "a frame ends within an instruction"),
      ("\u{95}\u{b}\0\0\0\0\0\0\0N\u{95}\u{1}\0\0\0\0\0\0\0N.", "a frame begins within another"),
      // The stack
      ("\u{85}.", empty), ("N\u{86}.", empty), ("NN\u{87}.", empty), ("N(N\u{86}.", empty), ("t.", noMark),
      ("l.", noMark),
      ("d.", noMark), ("\u{91}.", noMark), ("]e.", noMark), ("}u.", noMark), ("1.", noMark), ("o.", noMark),
      ("im\nf\n.", noMark), ("0.", empty), ("2.", empty), ("(2.", empty), ("R.", empty), ("NR.", empty), ("b.", empty),
      ("Nb.", empty), ("a.", empty), ("Na.", empty), ("(e.", empty), ("(u.", empty), ("\u{93}.", empty), ("Q.", empty),
      ("q\0.", empty), ("p0\n.", empty), ("r\0\0\0\0.", empty), ("\u{94}.", empty), ("](q\0.", empty),
      // The memo
      ("h\0.", "memo 0 was never set"), ("j\u{ff}\u{ff}\u{ff}\u{ff}.", "memo 4294967295 was never set"),
      ("g5\n.", "memo 5 was never set"), ("g-1\n.", "memo '-1'"), ("Np-1\n.", "memo '-1'"), ("Npx\n.", "memo 'x'"),
      ("Np99999999999999999999\n.", "memo '99999999999999999999'"), ("Np\n.", "memo ''"),
      // Filling
      ("(Nd.", "a key has no value"), ("}(Nu.", "a key has no value"),
      ("NNa.", "items are appended to what is no list"),
      (")Na.", "items are appended to what is no list"), ("}(N\u{90}.", "items are added to what is no set"),
      ("](N\u{90}.", "items are added to what is no set"),
      ("N(Ne.", "items are appended to what is no list"), ("\u{8f}(Ne.", "items are appended to what is no list"),
      ("]NNs.", "entries are added to what is no dict"),
      ("N(NNu.", "entries are added to what is no dict"), ("]Nb.", "a state is given to what takes none"),
      ("cm\nf\nNb.", "a state is given to what takes none"), ("cm\nf\nNR.", "a call's arguments are no tuple"),
      ("cm\nf\n]\u{81}.", "a call's arguments are no tuple"), ("cm\nf\nN}\u{92}.", "a call's arguments are no tuple"),
      ("(o.", "an object has no class"), ("NN\u{93}.", "a class is not named by text"),
      ("c\u{ff}\nx\n.", "a class name is not UTF-8"),
      // What cannot be
      ("\u{80}\u{6}N.", "pickle protocol 6 is not supported"),
      ("\u{80}\u{ff}N.", "pickle protocol 255 is not supported"),
      ("Pid\n.", "persistent ids written as text"), ("\u{82}\u{1}.", "opcode 0x82 is not known"),
      ("\u{83}\u{1}\0.", "opcode 0x83"), ("\u{84}\u{1}\0\0\0.", "opcode 0x84"), ("\u{97}.", "opcode 0x97"),
      ("\u{98}.", "opcode 0x98"), ("\0.", "opcode 0x0 is not known"), ("\u{ff}.", "opcode 0xff is not known"),
    ])
  func malformed(source: String, reason: String) throws {
    let message = try #require(refusal { _ = try read(pickle(source)) })
    #expect(message.contains(reason), "\(message)")
    #expect(message.hasPrefix("test.pkl: byte "))
    #expect(!message.contains { $0.isNewline })
  }

  /// Every opcode that is not in Python's own list is refused, and told with its place.
  @Test func unknownOpcodes() {
    let known = Array("().01NIJKLMTUVXFGSBCPQRabcdeghijlopqrstu}]2".utf8)
    for opcode in UInt8.min...UInt8.max where !known.contains(opcode) && !(0x80...0x96).contains(opcode) {
      let message = refusal { _ = try read([0x4e, opcode] + pickle("\u{1}\u{1}\u{1}\u{1}\u{1}\u{1}\u{1}\u{1}.")) }
      #expect(message?.contains("opcode 0x\(String(opcode, radix: 16)) is not known") == true)
      #expect(message?.hasPrefix("test.pkl: byte 1: ") == true)
    }
  }

  /// Any bytes at all are refused or read, and what is read can be written.
  @Test func noise() {
    var generator = Generator(1)
    let opcodes =
      Array("().01NKMXaeslutdbRcoiqhQ2]}".utf8) + [
        0x80, 0x81, 0x85, 0x86, 0x87, 0x88, 0x8c, 0x8f, 0x90, 0x91, 0x93, 0x94,
      ]
    var accepted = 0
    for _ in 0..<20_000 {
      let bytes = (0..<Int.random(in: 1...24, using: &generator)).map { _ in
        Bool.random(using: &generator)
          ? opcodes.randomElement(using: &generator)! : UInt8.random(in: 0...3, using: &generator)
      }
      guard let graph = try? read([0x5d, 0x71, 0] + bytes + [0x2e]) else { continue }
      accepted += 1
      _ = PickleWriter.write(graph) { _ in 0 }
    }
    #expect(accepted > 100)
  }
}
