package encode

import (
	"fmt"
	"sync"
	"sync/atomic"

	"github.com/hraban/opus"
)

const (
	// OpusRate is the sample rate, in Hz, that Opus is fed with here.
	OpusRate = 48000
	// OpusSamples is what one Opus packet holds: 20 ms, mono.
	OpusSamples = OpusRate / 50

	// maxOpusPacket bounds one 20 ms packet in bytes (RFC 6716 section 3.2.1).
	maxOpusPacket      = 1275
	defaultOpusBitRate = 32_000
	unsetOpus          = -1
)

// OpusParams says how to encode sound. The zero value is a good call: 32
// kbit/s, in-band FEC, no DTX. It implements mediadevices'
// codec.AudioEncoderBuilder.
type OpusParams struct {
	BitRate    int  // bit/s, 6 000 to 510 000; 0: 32 000
	NoFEC      bool // leave in-band forward error correction (RFC 6716 section 2.1.7) out
	DTX        bool // send next to nothing in silence (section 2.1.9)
	PacketLoss int  // percent the encoder expects, 0 to 100; FEC needs it above 0. 0: 5; see SetPacketLoss
	Complexity int  // 1 (cheap) to 10; 0: 5
}

// Opus encodes one stream of mono sound. Encode is for one goroutine at a time;
// SetBitRate and SetPacketLoss may be called from any and never wait.
type Opus struct {
	bitRate, loss atomic.Int64 // wanted from the next packet on; unsetOpus: no change

	mu     sync.Mutex
	enc    *opus.Encoder // its memory is Go's: nothing to free
	buf    [maxOpusPacket]byte
	closed bool
}

// NewOpus makes an encoder in VOIP mode.
func NewOpus(p OpusParams) (*Opus, error) {
	if p.BitRate == 0 {
		p.BitRate = defaultOpusBitRate
	}
	if p.PacketLoss == 0 {
		p.PacketLoss = 5
	}
	if p.Complexity == 0 {
		p.Complexity = 5
	}
	if err := checkOpusBitRate(p.BitRate); err != nil {
		return nil, err
	}
	if err := checkLoss(p.PacketLoss); err != nil {
		return nil, err
	}
	enc, err := opus.NewEncoder(OpusRate, 1, opus.AppVoIP)
	if err != nil {
		return nil, fmt.Errorf("cannot open the Opus encoder: %w", err)
	}
	for _, set := range []func() error{
		func() error { return enc.SetBitrate(p.BitRate) },
		func() error { return enc.SetInBandFEC(!p.NoFEC) },
		func() error { return enc.SetPacketLossPerc(p.PacketLoss) },
		func() error { return enc.SetDTX(p.DTX) },
		func() error { return enc.SetComplexity(p.Complexity) },
	} {
		if err := set(); err != nil {
			return nil, fmt.Errorf("cannot set up the Opus encoder with %+v: %w", p, err)
		}
	}
	o := &Opus{enc: enc}
	o.bitRate.Store(unsetOpus)
	o.loss.Store(unsetOpus)
	return o, nil
}

// Encode compresses exactly OpusSamples samples, 20 ms of 48 kHz mono. The
// packet (RFC 6716) is valid until the next Encode. With DTX a packet of one or
// two bytes means: nothing worth sending.
func (o *Opus) Encode(pcm []int16) ([]byte, error) {
	if len(pcm) != OpusSamples {
		return nil, fmt.Errorf("cannot encode %d samples as Opus: a packet takes %d", len(pcm), OpusSamples)
	}
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.closed {
		return nil, ErrClosed
	}
	if bps := o.bitRate.Swap(unsetOpus); bps != unsetOpus {
		if err := o.enc.SetBitrate(int(bps)); err != nil {
			return nil, fmt.Errorf("cannot set the Opus bit rate to %d: %w", bps, err)
		}
	}
	if loss := o.loss.Swap(unsetOpus); loss != unsetOpus {
		if err := o.enc.SetPacketLossPerc(int(loss)); err != nil {
			return nil, fmt.Errorf("cannot set the Opus packet loss to %d %%: %w", loss, err)
		}
	}
	n, err := o.enc.Encode(pcm, o.buf[:])
	if err != nil {
		return nil, fmt.Errorf("cannot encode sound as Opus: %w", err)
	}
	return o.buf[:n], nil
}

// SetBitRate aims at bps bit/s, 6 000 to 510 000, from the next packet on.
func (o *Opus) SetBitRate(bps int) error {
	if err := checkOpusBitRate(bps); err != nil {
		return err
	}
	o.bitRate.Store(int64(bps))
	return nil
}

// SetPacketLoss tells the loss the far side reports, in percent: the more, the
// more of the bit rate goes into FEC.
func (o *Opus) SetPacketLoss(percent int) error {
	if err := checkLoss(percent); err != nil {
		return err
	}
	o.loss.Store(int64(percent))
	return nil
}

// Close makes every later Encode fail with ErrClosed.
func (o *Opus) Close() error {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.closed = true
	return nil
}

func checkOpusBitRate(bps int) error {
	if bps < 6_000 || bps > 510_000 { // RFC 6716 section 2.1.1
		return fmt.Errorf("cannot use an Opus bit rate of %d bit/s: it must be 6000 to 510000", bps)
	}
	return nil
}

func checkLoss(percent int) error {
	if percent < 0 || percent > 100 {
		return fmt.Errorf("cannot use a packet loss of %d %%: it must be 0 to 100", percent)
	}
	return nil
}
